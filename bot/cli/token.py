"""`agentpager token new|hash`."""

from __future__ import annotations

import sys

import click

from bot.cli.common import CONFIG_ERROR, output_option, show, stop

PREFIX = "agp_"  # so that those who look for secrets in logs and repositories know one


def _scopes(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """`--scope read,act` is the same as twice."""
    from bot.complaints import did_you_mean
    from bot.settings import ApiScope

    known = [scope.value for scope in ApiScope]
    named = [name.strip() for text in given for name in text.split(",")]
    for name in named:
        if name not in known:
            raise click.BadParameter(f'there is no scope "{name}"; {did_you_mean(name, known)}')
    return tuple(dict.fromkeys(named))


@click.group("token")
def command() -> None:
    """Tokens of the HTTP API."""


@command.command("new")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, callback=_scopes, help="What it may do; repeatable.")
@click.option("--expires", metavar="DATE", help="The last day on which it works, 2027-06-30.")
@click.option("--person", metavar="PERSON", help="Whom it acts for: an id of oncall/.")
@output_option
def new(name: str, scopes: tuple[str, ...], expires: str | None, person: str | None, output: str) -> None:
    """Make a token called NAME: print it, once, and what belongs into agentpager.yaml.

    Nothing is kept here, and the configuration gets only a hash. docs/api.md has the scopes.
    """
    import secrets

    from pydantic import TypeAdapter, ValidationError

    from bot.settings import ApiToken, WebhookName

    token = PREFIX + secrets.token_urlsafe(32)
    person = person.removeprefix("person:") if person else None
    said = {"hash": _hash(token), "scopes": list(scopes), "person": person, "expires": expires}
    entry = {key: value for key, value in said.items() if value is not None}
    try:
        TypeAdapter(WebhookName).validate_python(name)
    except ValidationError:
        raise click.BadParameter("a name has small letters, digits, - and _", param_hint="NAME") from None
    try:
        ApiToken.model_validate(entry)
    except ValidationError:
        raise click.BadParameter(f'"{expires}" is not a day; write 2027-06-30', param_hint="--expires") from None
    show({"name": name, "token": token, "entry": entry}, output, _print)


@command.command("hash")
def hashed() -> None:
    """Print the hash of a token that is read from standard input, for http.tokens."""
    from bot.settings import SHORTEST_TOKEN

    token = sys.stdin.readline().strip()
    if len(token) < SHORTEST_TOKEN:
        stop(f"a token has at least {SHORTEST_TOKEN} characters; agentpager token new makes one", CONFIG_ERROR)
    click.echo(_hash(token))


def _hash(token: str) -> str:
    from hashlib import sha256

    return f"sha256:{sha256(token.encode()).hexdigest()}"


def _print(made: dict[str, object]) -> None:
    """The token alone on standard output: `agentpager token new ci --scope read > file` keeps it and nothing else."""
    entry = made["entry"]
    assert isinstance(entry, dict)
    told = [f'hash: "{entry["hash"]}"', f"scopes: [{', '.join(entry['scopes'])}]"]
    told += [f"{key}: {entry[key]}" for key in ("person", "expires") if key in entry]
    click.echo("# For agentpager.yaml; it counts from the next reload on.", err=True)
    click.echo(f"http:\n  tokens:\n    {made['name']}: {{{', '.join(told)}}}", err=True)
    click.echo(
        "# The token. It is shown this once: put it where AGENTPAGER_TOKEN or AGENTPAGER_TOKEN_FILE finds it.", err=True
    )
    click.echo(made["token"])
