"""`agentpager slo rules [AGENT]`."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.common import CONFIG_ERROR, config_option, read_config, stop


@click.command("rules")
@click.argument("agent", required=False)
@config_option
def command(agent: str | None, config_path: Path) -> None:
    """Print the rules that the objectives of AGENT, or of all agents, are turned into, as a Prometheus rule file.

    Needs the configuration, no running server, which has these rules anyway. The success of runs has none of its own:
    alerts/success.yaml serves every agent with a target.
    """
    from bot.complaints import did_you_mean
    from bot.slos.objectives import group
    from bot.slos.rulefile import as_yaml

    config = read_config(config_path)
    if agent is not None and agent not in config.agents:
        near = did_you_mean(agent, set(config.agents))
        stop(f'there is no agent "{agent}"{f" ({near})" if near else ""}', CONFIG_ERROR)
    found = [one for one in config.objectives if agent in {None, one.agent}]
    if found:
        click.echo(as_yaml(group(one) for one in found), nl=False)
    else:
        whose = f'"{agent}" has' if agent else "no agent has"
        what = "no objective beside the success of runs" if agent else "an objective beside the success of runs"
        click.echo(f"# {whose} {what}: slo.latency, slo.objectives or slos/*.yaml\ngroups: []")
