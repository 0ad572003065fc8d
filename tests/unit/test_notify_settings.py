"""Mail and webhooks in agentpager.yaml: secrets from variables and files, what the watcher gets, what stops `serve`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from config_files import sources_of

from bot import config
from bot.oncall.model import NotificationRule
from bot.sources import read_sources

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
MAIN = """\
slack: {bot_token: xoxb-1, app_token: xapp-1}
http: {external_url: "https://pager.example.com"}
notify:
  email: {host: smtp.example.com, username: pager, PASSWORD, from: pager@example.com}
  webhooks:
    sms:
      url: "https://sms.example.com/${SMS_ACCOUNT}"
      headers: {Authorization: "Basic ${SMS_LOGIN}"}
      secrets: {key: "${SMS_KEY}"}
      SECRET
"""
ONCALL = "people:\n  ana: {name: Ana, slack: U02ABCDEF, email: ana@example.com}\nfallback: 'person:ana'\n"


def files(password: str = 'password: "${SMTP_PASSWORD}"', secret: str = 'secret: "${SMS_SECRET}"') -> dict[str, str]:
    return {
        "agentpager.yaml": MAIN.replace("PASSWORD", password, 1).replace("      SECRET", f"      {secret}"),
        "oncall/all.yaml": ONCALL,
    }


ENV = {
    "SMTP_PASSWORD": "canary-1",
    "SMS_ACCOUNT": "canary-2",
    "SMS_LOGIN": "canary-3",
    "SMS_KEY": "canary-5",
    "SMS_SECRET": SECRET,
}


def test_secrets_come_from_variables_and_are_not_shown():
    loaded = config.load(sources_of(files(), ENV))
    notify = loaded.settings.notify
    assert notify.email is not None
    assert notify.email.password is not None
    assert notify.email.password.get_secret_value() == "canary-1"
    assert notify.webhooks["sms"].url.get_secret_value() == "https://sms.example.com/canary-2"
    assert notify.webhooks["sms"].headers["Authorization"].get_secret_value() == "Basic canary-3"
    assert "canary" not in repr(loaded.settings)
    assert config.missing_secrets(loaded) == []


def test_secrets_come_from_files(tmp_path: Path):
    for name, text in files("password_file: smtp", "secret_file: sms").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "smtp").write_text("canary-4\n")
    (tmp_path / "sms").write_text(SECRET)
    for name in ("smtp", "sms"):
        (tmp_path / name).chmod(0o600)
    sources = read_sources(tmp_path, ENV)
    loaded = config.load(sources)
    notify = loaded.settings.notify
    assert notify.email is not None
    assert notify.email.password is not None
    assert notify.email.password.get_secret_value() == "canary-4"
    assert notify.webhooks["sms"].secret is not None
    assert notify.webhooks["sms"].secret.get_secret_value() == SECRET
    assert "canary" not in json.dumps(sources.for_watcher().to_json())


def test_the_watcher_gets_none_of_it_and_loads_all_the_same():
    sources = sources_of(files(), ENV).for_watcher()
    assert "canary" not in json.dumps(sources.to_json())
    assert SECRET not in json.dumps(sources.to_json())
    notify = config.load(sources).settings.notify
    assert notify.webhooks["sms"].url.get_secret_value() == ""


@pytest.mark.parametrize(
    ("changed", "env", "told"),
    [
        ({}, {"SMTP_PASSWORD": ""}, ["notify.email.password"]),
        ({"password": "port: 587"}, {}, ["notify.email.password"]),
        ({}, {"SMS_ACCOUNT": None}, ["notify.webhooks.sms.url"]),
        ({}, {"SMS_LOGIN": None}, ["notify.webhooks.sms.headers.Authorization"]),
        ({"secret": "secret_file: not-there"}, {}, ["notify.webhooks.sms.secret"]),
        ({"secret": "timeout: 5s"}, {}, []),
    ],
)
def test_what_is_missing_stops_serving_but_not_checking(changed, env, told):
    given = {name: value for name, value in {**ENV, **env}.items() if value is not None}
    sources = sources_of(files(**changed), given)
    assert config.check(sources) == []
    missing = config.missing_secrets(config.load(sources))
    assert [finding.message.split(" ")[0].rstrip(":") for finding in missing] == told


@pytest.mark.parametrize("secret", ["hunter2", "whsec_c2hvcnQ=", "whsec_no base64", SECRET.removeprefix("whsec_")])
def test_a_secret_of_another_form_is_refused_with_the_way_out(secret):
    (finding,) = config.check(sources_of(files(secret=f'secret: "{secret}"'), ENV))
    assert (finding.line, finding.code) == (10, "bad-value")
    assert "a secret is whsec_ and the base64 of 24 to 64 bytes" in finding.message


def test_no_password_over_a_plain_connection():
    main = files("tls: none")["agentpager.yaml"]
    (finding,) = config.check(sources_of({**files(), "agentpager.yaml": main}, ENV))
    assert finding.message.endswith("a password is not sent over a plain connection; use tls: starttls or implicit")


@pytest.mark.parametrize("address", ["smtp.example.com/x", "ftp://sms.example.com", "https://sms.example.com:99999"])
def test_an_address_that_is_none_is_refused_without_repeating_it(address):
    main = files()["agentpager.yaml"].replace("https://sms.example.com/${SMS_ACCOUNT}", address)
    (finding,) = config.check(sources_of({**files(), "agentpager.yaml": main}, ENV))
    assert finding.code == "bad-value"


def test_the_book_says_how_everybody_is_told():
    ana = config.load(sources_of(files(), ENV)).book.people["ana"]
    assert [rule.by for rule in ana.notification_rules["high"]] == ["slack", "email"]
    assert ana.notification_rules["low"] == (NotificationRule(by="slack"),)


@pytest.mark.parametrize(
    "line",
    [
        'phone: "0034 600"',
        "notification_rules: {high: []}",
        "notification_rules: {medium: [{by: slack}]}",
        "notification_rules: {high: [{by: sms}]}",
        "notification_rules: {high: [{by: slack, after: soon}]}",
        "contacts: {Telegram: x}",
    ],
)
def test_mistakes_in_a_person_are_told_at_their_place(line):
    oncall = f"people:\n  ana:\n    name: Ana\n    slack: U02ABCDEF\n    {line}\nfallback: 'person:ana'\n"
    found = config.check(sources_of({**files(), "oncall/all.yaml": oncall}, ENV))
    assert [(finding.file, finding.line) for finding in found] == [("oncall/all.yaml", 5)]
