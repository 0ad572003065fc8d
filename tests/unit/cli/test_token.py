"""`agentpager token`: what it prints is what the server takes."""

from __future__ import annotations

import json
from datetime import date
from hashlib import sha256

import pytest
from click.testing import CliRunner
from config_files import sources_of

from bot import config
from bot.cli.doctor import _tokens
from bot.cli.main import cli
from bot.errors import ConfigError
from bot.logs import redact
from bot.runbooks.secrets import secrets
from bot.settings import ApiScope, ApiToken, Http

ONCALL = "people:\n  ana: {name: Ana, slack: U02ABCDEF}\nfallback: 'person:ana'\n"


def run(*words: str, given: str = "") -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["token", *words], input=given)
    return result.exit_code, result.stdout, result.stderr


def test_the_token_stands_alone_and_what_is_printed_beside_it_is_a_configuration():
    code, token, beside = run(
        "new", "ana-laptop", "--scope", "read,act", "--scope", "silence", "--person", "person:ana",
        "--expires", "2027-06-30",
    )  # fmt: skip
    assert code == 0
    assert token.count("\n") == 1
    assert len(token.strip()) >= 40
    read = config.load(sources_of({"agentpager.yaml": beside, "oncall/all.yaml": ONCALL})).settings.http
    (made,) = read.tokens.values()
    assert list(read.tokens) == ["ana-laptop"]
    assert made.hash == "sha256:" + sha256(token.strip().encode()).hexdigest()
    assert made.scopes == (ApiScope.READ, ApiScope.ACT, ApiScope.SILENCE)
    assert (made.person, made.expires) == ("ana", date(2027, 6, 30))
    assert token.strip() not in beside


def test_two_are_never_the_same():
    assert run("new", "ci", "--scope", "read")[1] != run("new", "ci", "--scope", "read")[1]


def test_as_json_and_its_hash_again():
    made = json.loads(run("new", "ci", "--scope", "admin", "-o", "json")[1])
    assert (made["name"], made["entry"]["scopes"], set(made["entry"])) == ("ci", ["admin"], {"hash", "scopes"})
    assert run("hash", given=made["token"] + "\n") == (0, made["entry"]["hash"] + "\n", "")


def test_one_is_recognised_in_logs_and_in_runbooks():
    token = run("new", "ci", "--scope", "read")[1].strip()
    assert redact(f"somebody sent {token} to us") == "somebody sent *** to us"
    assert [found.what for found in secrets(f"curl -H 'X: {token}'")] == ["a token of agentpager"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("new", "ci", "--scope", "raed"), 'there is no scope "raed"; did you mean "read"?'),
        (("new", "CI", "--scope", "read"), "a name has small letters, digits, - and _"),
        (("new", "ci", "--scope", "read", "--expires", "soon"), '"soon" is not a day; write 2027-06-30'),
        (("new", "ci"), "Missing option '--scope'"),
        (("hash",), "a token has at least 16 characters"),
    ],
)
def test_what_cannot_be_is_said(words, why):
    code, told, error = run(*words, given="short\n")
    assert (code, told) == (2, "")
    assert why in error


# In the configuration


def load(entry: str, env: dict[str, str] | None = None) -> list[str]:
    text = f"slack: {{bot_token: x, app_token: x}}\nhttp: {{tokens: {{ci: {{{entry}}}}}}}\n"
    loaded = config.load(sources_of({"agentpager.yaml": text, "oncall/all.yaml": ONCALL}, env))
    return [finding.message for finding in config.missing_secrets(loaded)]


def test_a_token_that_is_not_there_stops_the_start():
    assert load('token: "${CI}", scopes: [read]', {"CI": "long-enough-a-token"}) == []
    (unset,) = load('token: "${CI}", scopes: [read]')
    assert unset.startswith("http.tokens.ci.token needs the variable CI")
    (short,) = load('token: "${CI}", scopes: [read]', {"CI": "short"})
    assert short.startswith("http.tokens.ci.token: it has fewer than 16 characters")
    (gone,) = load("token_file: nowhere, scopes: [read]")
    assert gone == "http.tokens.ci.token: nowhere is empty or cannot be read"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("scopes: [read]", "give one of hash, token and token_file"),
        (f'hash: "sha256:{"0" * 64}", token: sixteen-characters, scopes: [read]', "give one of hash, token and"),
        ('hash: "md5:0", scopes: [read]', "http.tokens.ci.hash"),
        (f'hash: "sha256:{"0" * 64}", scopes: []', "http.tokens.ci.scopes must not be empty"),
        (f'hash: "sha256:{"0" * 64}", scopes: [reed]', "http.tokens.ci.scopes[0] must be one of read, act,"),
    ],
)
def test_a_token_that_makes_no_sense_is_a_mistake_of_the_file(entry, why):
    with pytest.raises(ConfigError) as refused:
        load(entry)
    assert why in str(refused.value)


def test_the_doctor_tells_in_time_that_a_token_ends():
    today, shown = date(2026, 11, 4), f"sha256:{'0' * 64}"
    ends = {"late": date(2026, 11, 3), "today": today, "soon": date(2026, 11, 17), "fine": date(2026, 11, 18)}
    tokens = {name: ApiToken(hash=shown, scopes=(ApiScope.READ,), expires=end) for name, end in ends.items()}
    tokens["ever"] = ApiToken(hash=shown, scopes=(ApiScope.READ,))
    told = [(check.check, check.status, check.message) for check in _tokens(Http(tokens=tokens), today)]
    assert told == [
        ("http.tokens.late", "fail", "it worked until 2026-11-03"),
        ("http.tokens.today", "warning", "it works until 2026-11-04"),
        ("http.tokens.soon", "warning", "it works until 2026-11-17"),
        ("http.tokens.fine", "ok", "it works until 2026-11-18"),
        ("http.tokens.ever", "ok", "it does not expire"),
    ]
