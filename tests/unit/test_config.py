"""Reading and loading a configuration: secrets, variables, broken neighbours, and one mistyped character anywhere."""

from __future__ import annotations

import json
import random
import re  # noqa: TID251 - fixed pattern
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from config_files import EXAMPLE, example, sources_of

from bot import config
from bot.errors import ConfigError, Finding, UsageError
from bot.sources import Sources, read_loose, read_sources

MINIMAL = {
    "agentpager.yaml": 'slack: {bot_token: "${BOT}", app_token: "${APP}"}\n',
    "oncall/all.yaml": 'people:\n  ana: {name: Ana, slack: U02ABCDEF}\nfallback: "person:ana"\n',
}


def told(files: dict[str, str], env: dict[str, str] | None = None) -> list[str]:
    return [str(finding) for finding in config.check(sources_of(files, env))]


def test_the_sample_configuration_is_clean_without_any_secret():
    assert config.check(read_sources(EXAMPLE, {})) == []


def test_the_sample_configuration_says_what_it_says():
    loaded = config.load(read_sources(EXAMPLE / "agentpager.yaml", {}))
    assert loaded.settings.metrics.scrape.targets[0].labels == {"agent": "refund-agent", "env": "prod"}
    assert loaded.agents["refund-agent"].owner == "team:payments"
    assert loaded.agents["refund-agent"].id == "refund-agent"
    assert loaded.book.fallback == "person:ben"
    assert loaded.book.escalation_policies["payments"].ack_timeout["critical"] == timedelta(hours=1)
    assert loaded.base_dir == EXAMPLE


def test_sources_cross_to_the_other_process_as_json():
    sources = read_sources(EXAMPLE, {"SLACK_BOT_TOKEN": "xoxb-1"})
    assert Sources.from_json(json.loads(json.dumps(sources.to_json()))) == sources


def test_the_watcher_gets_no_secret_of_the_pager():
    files = {**MINIMAL}
    files["agentpager.yaml"] += 'metrics: {scrape: {targets: [{url: "http://a/metrics", bearer_token: "${SCRAPE}"}]}}\n'
    files["agentpager.yaml"] += 'http: {token: "${WEB}", external_url: "${URL}"}\n'
    env = {"BOT": "xoxb-1", "APP": "xapp-1", "SCRAPE": "s", "WEB": "xoxb-web", "URL": "https://pager.example.com"}
    sources = sources_of(files, env)
    loaded = config.load(sources.for_watcher())
    token = loaded.settings.metrics.scrape.targets[0].bearer_token
    assert token is not None
    assert token.get_secret_value() == "s"
    assert "xoxb" not in json.dumps(sources.for_watcher().to_json())
    assert loaded.settings.slack.bot_token.get_secret_value() == ""


def test_variables_are_filled_in_and_never_become_yaml():
    loaded = config.load(sources_of(MINIMAL, {"BOT": "xoxb-1}, channel: #x", "APP": "xapp-1"}))
    assert loaded.settings.slack.bot_token.get_secret_value() == "xoxb-1}, channel: #x"
    assert config.missing_secrets(loaded) == []


def test_a_doubled_dollar_is_the_text_itself():
    files = {**MINIMAL, "agentpager.yaml": 'store: {url: "sqlite:///$${HOME}.db"}\n'}
    assert config.load(sources_of(files)).settings.store.url.get_secret_value() == "sqlite:///${HOME}.db"


def test_a_secret_that_is_not_set_stops_serving_but_not_checking():
    loaded = config.load(sources_of(MINIMAL, {"APP": "xapp-1"}))
    assert [str(finding) for finding in config.missing_secrets(loaded)] == [
        "agentpager.yaml:1:20 unset-variable slack.bot_token needs the variable BOT, which is not set"
        " (export BOT=… before the start)"
    ]


@pytest.mark.parametrize(
    ("mode", "missing"),
    [("socket", ["slack.bot_token", "slack.app_token"]), ("http", ["slack.bot_token", "slack.signing_secret"])],
)
def test_the_tokens_a_mode_needs_are_named(mode, missing):
    loaded = config.load(sources_of({**MINIMAL, "agentpager.yaml": f"slack: {{mode: {mode}}}\n"}))
    assert [finding.message.split(" ")[0] for finding in config.missing_secrets(loaded)] == missing


def test_the_secret_of_the_other_mode_need_not_be_set():
    main = 'slack: {bot_token: xoxb-1, app_token: xapp-1, signing_secret: "${NOT_SET}"}\n'
    assert config.missing_secrets(config.load(sources_of({**MINIMAL, "agentpager.yaml": main}))) == []


def test_a_variable_outside_of_secrets_has_to_be_set():
    files = {**MINIMAL, "agentpager.yaml": 'http: {external_url: "${URL}"}\n'}
    assert told(files) == [
        "agentpager.yaml:1:22 unset-variable http.external_url needs the variable URL, which is not set"
        " (export URL=… before the start)",
    ]
    assert told(files, {"URL": "https://pager.example.com"}) == []


def test_a_wrong_value_from_the_environment_is_shown_by_its_variable():
    files = {**MINIMAL, "agentpager.yaml": 'http: {listen: "${LISTEN}"}\n'}
    assert told(files, {"LISTEN": "s3cret"}) == [
        'agentpager.yaml:1:16 bad-value http.listen cannot be "${LISTEN}": there is no port;'
        " write for example 127.0.0.1:9095"
    ]


@pytest.mark.parametrize("text", ["${BOT", "{BOT}", "${B-T}", "${}"])
def test_a_variable_with_a_typo_is_no_secret(text):
    files = {**MINIMAL, "agentpager.yaml": f'slack: {{bot_token: "{text}"}}\n'}
    assert [line.split(" ")[1] for line in told(files)] == ["bad-variable"]


def test_everything_wrong_in_all_files_is_told_at_once():
    files = {
        "agentpager.yaml": "slak: {}\nrules: {interval: often}\n",
        "agents/a.yaml": "agents:\n  one: {ownr: ana}\n  two: {owner: anna}\n",
        "agents/b.yaml": "agents: {three: {owner: ana, owner: ben}}\n",
        "oncall/all.yaml": MINIMAL["oncall/all.yaml"] + "teams: {x: {members: []}}\n",
        "alerts/a.yaml": "groups:\n- name: g\n  rules:\n  - alrt: A\n    expr: up\n  - alert: B\n    expr: up ==\n",
    }
    assert [line.split(" ")[:2] for line in told(files)] == [
        ["agentpager.yaml:1:1", "unknown-key"],
        ["agentpager.yaml:2:19", "bad-value"],
        ["agents/a.yaml:2:9", "unknown-key"],
        ["agents/a.yaml:3:16", "unknown-owner"],
        ["agents/b.yaml:1:30", "duplicate-key"],
        ["alerts/a.yaml:4:5", "unknown-key"],
        ["alerts/a.yaml:7:11", "promql"],
        ["oncall/all.yaml:4:22", "bad-value"],
    ]


def test_rules_of_a_broken_group_are_still_checked_where_they_stand():
    files = dict(MINIMAL)
    files["alerts/a.yaml"] = (
        "groups:\n- name: g\n  interval: no\n  rules:\n  - {alert: A}\n  - alert: B\n    expr: up ==\n- name: h\n"
        "  rules: [{alert: C, expr: up, labels: {owner: bob}}]\n"
    )
    assert [line.split(" ")[:2] for line in told(files)] == [
        ["alerts/a.yaml:3:13", "bad-value"],
        ["alerts/a.yaml:5:5", "missing-key"],
        ["alerts/a.yaml:7:11", "promql"],
        ["alerts/a.yaml:9:48", "unknown-owner"],
    ]


def test_a_trap_in_a_rule_file_is_a_warning_and_loads():
    files = {**MINIMAL, "alerts/a.yaml": "groups: [{name: g, rules: [{alert: A, expr: up, labels: {env: no}}]}]\n"}
    (finding,) = config.check(sources_of(files))
    assert (finding.code, finding.severity) == ("yaml-trap", "warning")
    assert config.load(sources_of(files)).groups[0].rules[0].labels == {"env": "no"}


def test_an_id_inside_of_an_entry_is_refused():
    files = {**MINIMAL, "agents/a.yaml": "agents: {one: {id: two, owner: ana}}\n"}
    assert told(files) == [
        'agents/a.yaml:1:16 unknown-key unknown key "id" in agents.one (remove it: the id is the name "one" itself)'
    ]


@pytest.mark.parametrize("name", ['""', '" "', '"a\\e[31m"', '"a\\u202eb"'])
def test_an_entry_without_a_name_that_can_be_shown_is_refused(name):
    files = {**MINIMAL, "agents/odd.yaml": f"agents: {{{name}: {{owner: 'person:ana'}}}}\n"}
    assert any("an entry of agents has no name" in line for line in told(files))


@pytest.mark.parametrize("amount", ["1e999", "nan"])
def test_money_without_end_is_refused(amount):
    files = {**MINIMAL, "agents/odd.yaml": f"agents: {{odd: {{owner: 'person:ana', budget_usd_day: {amount}}}}}\n"}
    assert any("bad-value" in line and "budget_usd_day" in line for line in told(files))


def test_a_configuration_with_mistakes_does_not_load():
    with pytest.raises(ConfigError) as caught:
        config.load(sources_of({"agentpager.yaml": "slak: {}\n"}))
    assert {finding.code for finding in caught.value.findings} == {"unknown-key", "missing-fallback"}


def test_an_empty_main_file_is_all_defaults():
    assert config.load(sources_of({**MINIMAL, "agentpager.yaml": "# nothing\n"})).settings.rules.interval == timedelta(
        seconds=15
    )


def test_a_list_that_is_too_short_and_a_word_in_place_of_a_list_are_told():
    more = (
        "schedules:\n  s:\n    layers: [{people: [ana], start: 2026-11-02}]\n"
        "    swaps: [{people: [ana], from: 2026-11-02T00:00, until: 2026-11-03T00:00}]\n"
        'escalation_policies:\n  p: {steps: [{notify: ["person:ana"], when: {severity: high}}]}\n'
    )
    assert told({**MINIMAL, "oncall/more.yaml": more}) == [
        "oncall/more.yaml:4:22 bad-value schedules.s.swaps[0].people needs 2 entries",
        "oncall/more.yaml:6:57 bad-value escalation_policies.p.steps[0].when.severity"
        ' must be one of critical, warning, not "high"',
    ]


class TestFiles:
    def write(self, base: Path, files: dict[str, str]) -> Path:
        for name, text in files.items():
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_text(text)
        return base

    def test_globs_count_from_the_main_file_and_are_read_in_order_once(self, tmp_path):
        main = "oncall: {files: [oncall/*.yaml, oncall/all.yaml, ../out/*.yaml]}\n"
        self.write(tmp_path / "in", {**MINIMAL, "agentpager.yaml": main, "oncall/b.yaml": "", "oncall/.c.yaml": ""})
        self.write(tmp_path / "out", {"x.yaml": ""})
        sources = read_sources(tmp_path / "in", {})
        assert [source.file for source in sources.files["oncall"]] == [
            "oncall/all.yaml",
            "oncall/b.yaml",
            "../out/x.yaml",
        ]

    def test_calendar_files_are_read_from_beside_the_main_file(self, tmp_path):
        calendar = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nEND:VCALENDAR\n"
        more = "holidays:\n  es: {ical: calendars/es.ics}\nschedules:\n  s: {layers: [{ical: calendars/rota.ics}]}\n"
        files = {**MINIMAL, "oncall/more.yaml": more, "calendars/es.ics": calendar, "calendars/rota.ics": calendar}
        self.write(tmp_path, files)
        sources = read_sources(tmp_path, {})
        assert {path: source.text for path, source in sources.calendars.items()} == {
            "calendars/es.ics": calendar,
            "calendars/rota.ics": calendar,
        }
        assert Sources.from_json(sources.to_json()) == sources
        self.write(tmp_path, {"calendars/es.ics": calendar + "\n"})
        assert read_sources(tmp_path, {}).digest != sources.digest

    def test_a_calendar_file_that_is_not_there_is_told_where_it_is_named(self, tmp_path):
        more = "holidays:\n  es:\n    ical: calendars/es.ics\n"
        self.write(tmp_path, {**MINIMAL, "oncall/more.yaml": more})
        assert [str(finding) for finding in config.check(read_sources(tmp_path, {}))] == [
            'oncall/more.yaml:3:11 unreadable there is no file "calendars/es.ics"'
            " (the path counts from the directory of agentpager.yaml)"
        ]

    def test_a_pattern_somebody_wrote_has_to_match(self, tmp_path):
        self.write(tmp_path, {**MINIMAL, "agentpager.yaml": "agents: {files: [agent/*.yaml]}\n"})
        assert [
            (finding.code, finding.line, finding.column) for finding in config.check(read_sources(tmp_path, {}))
        ] == [("no-match", 1, 18)]

    def test_a_pattern_that_takes_in_too_much_is_stopped(self, tmp_path, monkeypatch):
        monkeypatch.setattr("bot.sources.MAX_FILES", 3)
        self.write(tmp_path, {**MINIMAL, **{f"agents/{number}.yaml": "" for number in range(9)}})
        sources = read_sources(tmp_path, {})
        assert len(sources.files["agents"]) == 3
        assert [finding.code for finding in config.check(sources)] == ["yaml-limit"]

    def test_the_digest_changes_with_any_file_and_with_nothing_else(self, tmp_path):
        self.write(tmp_path, MINIMAL)
        before = read_sources(tmp_path, {}).digest
        assert read_sources(tmp_path, {"BOT": "x"}).digest == before
        self.write(tmp_path, {"oncall/all.yaml": MINIMAL["oncall/all.yaml"] + "# more\n"})
        assert read_sources(tmp_path, {}).digest != before

    def test_secrets_come_from_files_that_others_should_not_read(self, tmp_path):
        self.write(tmp_path, {**MINIMAL, "agentpager.yaml": "slack: {bot_token_file: bot, app_token_file: gone}\n"})
        (tmp_path / "bot").write_text("xoxb-1\n")
        (tmp_path / "bot").chmod(0o600)
        sources = read_sources(tmp_path, {})
        loaded = config.load(sources)
        assert loaded.settings.slack.bot_token.get_secret_value() == "xoxb-1"
        assert [finding.message for finding in config.missing_secrets(loaded)] == [
            "slack.app_token is needed in socket mode"
        ]
        assert config.check(sources) == []
        (tmp_path / "bot").chmod(0o644)
        assert [finding.code for finding in config.check(read_sources(tmp_path, {}))] == ["open-secret"]

    def test_what_cannot_be_read_is_told_and_the_rest_is_checked(self, tmp_path):
        self.write(tmp_path, {**MINIMAL, "agents/b.yaml": "agents: 1\n"})
        (tmp_path / "agents" / "a.yaml").write_bytes(b"agents: {}\n# caf\xe9\n")
        (tmp_path / "agents" / "c.yaml").write_bytes(b"x" * (2 << 20))
        found = [(finding.file, finding.line, finding.code) for finding in config.check(read_sources(tmp_path, {}))]
        assert found == [
            ("agents/a.yaml", 2, "yaml-syntax"),
            ("agents/b.yaml", 1, "bad-value"),
            ("agents/c.yaml", 0, "yaml-limit"),
        ]

    def test_no_main_file_is_a_mistake_of_the_command(self, tmp_path):
        with pytest.raises(UsageError, match="agentpager init"):
            read_sources(tmp_path, {})

    def test_loose_files_are_told_by_their_keys(self, tmp_path):
        self.write(tmp_path, {"x.yaml": "groups: []\n", "y.yaml": "agents:\n  a: {ownr: b}\n", "z.yaml": "what: 1\n"})
        sources = read_loose(tmp_path, sorted(tmp_path.glob("*.yaml")))
        assert [source.file for source in sources.files["rules"]] == ["x.yaml"]
        assert [(finding.file, finding.code) for finding in config.check(sources)] == [
            ("y.yaml", "unknown-key"),
            ("z.yaml", "unknown-file"),
        ]


# Text for people, and names of things outside that nothing here can know: nobody can tell a wrong one from a right one.
FREE = (
    "title: ",
    "alert: ",
    "run_on: ",
    "- id: ",
    "query: ",
    "file_sd: ",
    "name: ",
    "summary: ",
    "description: ",
    "impact: ",
    "text: ",
    "email: ",
    "slack: U",
    "channel: ",
    "url: ",
    "labels: ",
    "${",
    "listen: ",
    "reason: ",
    "env=",
    "staging-nights:",
)


@pytest.mark.parametrize("seed", range(6))
def test_one_mistyped_character_anywhere_gets_a_finding_that_leads_to_it(tmp_path, seed):
    """Deletes, doubles, swaps or changes one character of the sample configuration, many times over."""
    chance = random.Random(seed)
    files, whole = example(), config.load(read_sources(EXAMPLE, {}))
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    unnoticed = []
    for _ in range(80):
        name = chance.choice(sorted(files))
        at, text = _mistyped(files[name], chance)
        (tmp_path / name).write_text(text)
        sources = read_sources(tmp_path, {})
        line, before = files[name].count("\n", 0, at) + 1, files[name].split("\n")
        findings = config.check(sources)
        near = any(finding.file == name and _is_near(finding, line) for finding in findings)
        named = any(_names_the_line(finding, text.split("\n")[line - 1]) for finding in findings)
        if not near and not named and not (not findings and _makes_no_mistake(before[line - 1], sources, whole)):
            unnoticed.append(f"{name}:{line} {text.splitlines()[line - 1 : line]} {[str(f) for f in findings]}")
        (tmp_path / name).write_text(files[name])
    assert unnoticed == []


def _mistyped(text: str, chance: random.Random) -> tuple[int, str]:
    """Comments are left alone."""
    starts = [match.end() for match in re.finditer(r"(?m)^(?! *#)", text)]
    start = chance.choice(starts)
    at = chance.randrange(start, max(text.find("\n", start), start) + 1) if start < len(text) else len(text) - 1
    letter = chance.choice("abcdefghijklmnopqrstuvwxyz0123456789:-\"' {}[]#\n\t,")
    new, taken = chance.choice([("", 1), (text[at] * 2, 1), (text[at : at + 2][::-1], 2), (letter, 1)])
    return at, text[:at] + new + text[at + taken :]


def _is_near(finding: Finding, line: int) -> bool:
    """A block whose indentation is broken is told at its end, with the line it began on."""
    began = re.search(r"on line (\d+)", finding.message)
    return abs(finding.line - line) <= 3 or (began is not None and int(began[1]) <= line <= finding.line)


def _names_the_line(finding: Finding, line: str) -> bool:
    """A name changed where it is given is found where it is used; the hint then shows what it is called now."""
    meant = finding.hint.partition('"')[2].rpartition('"')[0]
    return bool(meant) and meant.rpartition(":")[2] in line


def _makes_no_mistake(line: str, sources: Sources, whole: config.Config) -> bool:
    """It means the same, or another number, time or word that is as right as the one before."""
    changed = config.load(sources)
    unimportant = {"digest": "", "book_id": "", "base_dir": Path(), "unset": ()}
    if replace(changed, **unimportant) == replace(whole, **unimportant):
        return True
    return line.lstrip().startswith(FREE) or any(word in line for word in FREE) or any(sign.isdigit() for sign in line)


def test_a_database_whose_address_is_not_set_is_missed_by_serve_alone():
    url = {**MINIMAL, "agentpager.yaml": MINIMAL["agentpager.yaml"] + 'store: {url: "${DATABASE_URL}"}\n'}
    env = {"BOT": "xoxb-1", "APP": "xapp-1"}
    assert told(url, env) == []
    missing = [finding.message for finding in config.missing_secrets(config.load(sources_of(url, env)))]
    assert missing == ["store.url needs the variable DATABASE_URL, which is not set"]
    assert "geheim" not in json.dumps(sources_of(url, env | {"DATABASE_URL": "geheim"}).for_watcher().to_json())


def test_what_collectors_of_traces_are_told_is_kept_from_the_watcher():
    text = 'tracing: {endpoint: "http://otel:4318", headers: {Authorization: "Bearer ${OTEL_TOKEN}"}}\n'
    env = {"BOT": "xoxb-1", "APP": "xapp-1", "OTEL_TOKEN": "geheim"}
    sources = sources_of({**MINIMAL, "agentpager.yaml": MINIMAL["agentpager.yaml"] + text}, env)
    assert config.load(sources).settings.tracing.headers["Authorization"].get_secret_value() == "Bearer geheim"
    assert "geheim" not in json.dumps(sources.for_watcher().to_json())
    assert config.load(sources.for_watcher()).settings.tracing.endpoint == "http://otel:4318"


def test_an_address_of_a_database_is_not_told_for_its_password():
    (only,) = told({**MINIMAL, "agentpager.yaml": "store: {url: 'mysql://ana:geheim@db/x'}\n"})
    assert "store.url is wrong: write sqlite:///agentpager.db, or a PostgreSQL address" in only
    assert "geheim" not in only


def test_a_file_with_the_address_that_is_not_there_makes_no_new_database(tmp_path):
    for name, text in MINIMAL.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    main = tmp_path / "agentpager.yaml"
    main.write_text(main.read_text() + "oncall: {files: [oncall/all.yaml]}\nstore: {url_file: database}\n")
    env = {"BOT": "xoxb-1", "APP": "xapp-1"}
    missing = [finding.message for finding in config.missing_secrets(config.load(read_sources(main, env)))]
    assert missing == ["store.url: database is empty or cannot be read"]
    (tmp_path / "database").write_text("postgresql://ana:geheim@db/pager\n")
    loaded = config.load(read_sources(main, env))
    assert config.missing_secrets(loaded) == []
    assert loaded.settings.store.url.get_secret_value() == "postgresql://ana:geheim@db/pager"
