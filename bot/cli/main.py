"""The command group. Each command is a module that is imported only when it is called, so that `--help` stays fast."""

from __future__ import annotations

import sys
from importlib import import_module

import click

# name → (module, or module:attribute; help line); the order is the one `--help` shows.
COMMANDS = {
    "serve": ("bot.cli.serve", "Watch the agents, page their owners. Runs until stopped."),
    "demo": ("bot.cli.demo", "Six simulated agents, a local Slack-like workspace and the bot, in one command."),
    "init": ("bot.cli.init", "Write a working configuration directory."),
    "import": ("bot.cli.import_files", "Turn the configuration of another system into files of ours."),
    "check": ("bot.cli.check", "Report every mistake in a configuration."),
    "test": ("bot.cli.test", "Play unit tests of rules, in promtool's format."),
    "runbook": ("bot.cli.runbook", "Write runbooks: new, preview, lint, and the schema for editors."),
    "doctor": ("bot.cli.doctor", "Try tokens, scopes, targets and paths; name the way out of each failure."),
    "lint-metrics": ("bot.cli.lint_metrics", "Check the metrics that an agent exposes against what alerts need."),
    "alerts": ("bot.cli.alerts", "List pending and firing alerts of a running server."),
    "incidents": ("bot.cli.incidents", "List incidents of a running server; show, export, note or mark one."),
    "ack": ("bot.cli.verbs:ack", "Acknowledge an incident."),
    "take": ("bot.cli.verbs:take", "Take an incident over from whoever has it."),
    "snooze": ("bot.cli.snooze", "Have an incident and hear nothing of it until a time."),
    "hand": ("bot.cli.hand", "Give an incident to somebody, who is paged now."),
    "escalate": ("bot.cli.verbs:escalate", "Page the next level now."),
    "pass": ("bot.cli.verbs:decline", "Say that you cannot take an incident."),
    "release": ("bot.cli.verbs:release", "Give an incident back: it pages again from its first level."),
    "resolve": ("bot.cli.verbs:resolve", "Resolve an incident."),
    "page": ("bot.cli.page:page", "Wake whoever answers for an agent, a team or a person, now."),
    "test-page": ("bot.cli.page:test_page", "Try whether a page reaches somebody, by the way of a real one."),
    "agent": ("bot.cli.agent", "Agents: who answers, what wakes somebody, the hand-over bundle."),
    "drill": ("bot.cli.drill", "Try the whole way of a page for an agent, timed, as evidence."),
    "step": ("bot.cli.step", "Say what became of a step of an incident's runbook, or list the steps."),
    "action": ("bot.cli.action", "Requests that runbooks make: ask for one, agree, refuse, take it back."),
    "silence": ("bot.cli.silence", "Keep alerts from waking anybody: add, list, expire."),
    "override": ("bot.cli.override", "Put somebody on call for a time, or trade turns, beside the files."),
    "oncall": ("bot.cli.oncall", "Who is on duty, now or at another time."),
    "explain": ("bot.cli.explain", "Who would be paged for an alert or agent, step by step, and why."),
    "report": ("bot.cli.report", "Who was woken, how often, at night; how soon incidents were taken and ended."),
    "slo": ("bot.cli.slo", "How much of each error budget is left, and the rules made of objectives."),
    "cost": ("bot.cli.cost:cost", "What agents cost: today against the budget, the pace, by the run."),
    "forecast": ("bot.cli.cost:forecast", "What an agent would cost at another volume, and until when a budget lasts."),
    "readiness": ("bot.cli.readiness", "What is missing before an agent takes on more, with evidence."),
    "simulate": ("bot.cli.simulate", "Play a history of alerts: who would have been woken, how often, at night."),
    "query": ("bot.cli.query", "Answer a PromQL expression from a running server or an exposition file."),
    "token": ("bot.cli.token", "Make a token of the HTTP API."),
    "slack": ("bot.cli.slack", "Things to set up on Slack's side."),
    "notify": ("bot.cli.notify", "Send a test message to a person by each of their channels."),
    "db": ("bot.cli.db", "Upgrade, copy, restore and archive the database."),
    "audit": ("bot.cli.audit", "Verify and export the audit log, print its head."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name or "command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f' Did you mean "{near[0]}"?' if near else " `agentpager --help` lists them."
            raise click.UsageError(f'there is no command "{args[0]}".{hint}', ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agentpager", prog_name="agentpager")
def cli() -> None:
    """On-call for AI agents: rules, owners, pages, runbooks and escalation, with Slack as the front door.

    Exit codes: 0 fine, 1 findings, 2 usage or configuration, 3 the other side cannot be reached.
    """


def main() -> None:
    try:
        cli(prog_name="agentpager")
    except BrokenPipeError:
        sys.exit(141)
