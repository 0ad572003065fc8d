"""`agentpager ack ID`, and every other command that only says what is to become of an incident."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import act, config_option, output_option, person_option, server_option


def _command(name: str, verb: str, told: str) -> click.Command:
    @click.command(name, help=told)
    @click.argument("incident")
    @person_option
    @server_option
    @config_option
    @output_option
    def command(incident: str, person: str | None, config_path: Path, output: str) -> None:
        act(config_path, verb, incident, person, output)

    return command


ack = _command("ack", "ack", "Take INCIDENT (INC-7, 7, or an agent with one open incident): its escalation stops.")
take = _command(
    "take", "take", "Take INCIDENT over from whoever has it; they are told. Where nobody has it this is an ack."
)
escalate = _command("escalate", "escalate", "Page the next level of INCIDENT now, even if somebody has it.")
decline = _command("pass", "decline", "Say that you cannot take INCIDENT: the next level is paged now.")
release = _command("release", "release", "Give INCIDENT back: it pages again from its first level.")
resolve = _command(
    "resolve",
    "resolve",
    "Close INCIDENT. While its alerts still fire it is watched, and opens again after the ack timeout.",
)
