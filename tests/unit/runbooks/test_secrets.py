import pytest

from bot.runbooks.secrets import secrets


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("export TOKEN=xoxb-1234567890-abcdefghij", 14),
        ("xapp-1-A0123-456789abcdef", 1),
        ("curl https://hooks.slack.com/services/T000/B000/abcdef", 14),
        ("AKIAABCDEFGHIJKLMNOP", 1),
        ("ghp_" + "a1" * 18, 1),
        ("github_pat_" + "a1" * 18, 1),
        ("glpat-abcdefghij0123456789", 1),
        ("AIza" + "a" * 35, 1),
        ("sk-proj-abcdefghij0123456789", 1),
        ("sk-ant-api03-abcdefghij0123456789", 1),
        ("sk_live_abcdefghij012345", 1),
        ("-----BEGIN RSA PRIVATE KEY-----", 1),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK", 1),
        ("-H 'Authorization: Bearer abcdefghij0123456789'", 27),
        ("psql postgres://admin:hunter22@db.example.com/x", 23),
        ("password: hunter22hunter", 11),
        ("--api-key=abc123def456", 11),
    ],
)
def test_what_looks_like_a_secret_is_pointed_at(line, column):
    ((found_line, found_column, _),) = secrets(f"first line\n{line}")
    assert (found_line, found_column) == (2, column)


@pytest.mark.parametrize(
    "line",
    [
        "password: $PASSWORD",
        "--token={{ alert.labels.token }}",
        "token: <your-token-1>",
        "-H 'Authorization: Bearer $TOKEN'",
        "psql postgres://admin:$PGPASS@db.example.com/x",
        "postgres://db.example.com:5432/x",
        "the secret is kept in vault path kv/agents/refund",
        "token: agentctl secret read",
        "task-abcdefghij0123456789",
        "https://grafana.example/d/agents?var-agent=1",
        "reviewed_on: 2026-11-20",
    ],
)
def test_what_names_a_secret_without_being_one_is_left_alone(line):
    assert secrets(line) == []


def test_one_finding_a_line_is_enough():
    assert len(secrets("password=hunter22hunter token=hunter33hunter")) == 1
