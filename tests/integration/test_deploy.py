"""What is in deploy/, against the tools that would read it: systemd, promtool, kubectl and the schemas of Kubernetes.
No container and no cluster is started."""

from __future__ import annotations

import asyncio
import os
import re  # noqa: TID251 - fixed patterns
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from bot import systemd
from bot.cli.main import cli

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.31"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None and "CI" not in os.environ:
        pytest.skip(f"{name} is not installed")
    assert found, f"{name} is not installed"
    return found


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


# systemd


@pytest.mark.interop
def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path):
    text = (DEPLOY / "systemd" / "agentpager.service").read_text()
    unit = tmp_path / "agentpager.service"
    unit.write_text(text.replace("/opt/agentpager/bin/agentpager", "/bin/true"))  # it must exist to be verified
    analyze = program("systemd-analyze")
    run(analyze, "verify", str(unit))
    said = run(analyze, "security", "--offline=yes", "--threshold=20", str(unit))  # 2.0 of 10
    assert "exposure level" in said


def test_the_watcher_may_limit_itself_under_the_unit():
    """It calls setrlimit, which systemd counts among @resources."""
    unit = (DEPLOY / "systemd" / "agentpager.service").read_text()
    assert "@resources" not in re.sub(r"(?m)^#.*$", "", unit)


def test_systemd_is_told_once_somebody_listens(tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        systemd.tell(systemd.READY, {"NOTIFY_SOCKET": address})
        assert listener.recv(100) == b"READY=1"
    systemd.tell(systemd.READY, {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    systemd.tell(systemd.READY, {})
    assert not systemd.listens({})


@pytest.mark.parametrize(
    ("env", "seconds"),
    [({"WATCHDOG_USEC": "30000000"}, 30), ({}, None), ({"WATCHDOG_USEC": "0"}, None), ({"WATCHDOG_USEC": "x"}, None),
     ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
     ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30)],
)  # fmt: skip
def test_the_watchdog_is_ours_or_nobodys(env, seconds):
    found = systemd.watchdog(env)
    assert (found.total_seconds() if found else None) == seconds


async def test_a_server_says_that_it_is_ready_alive_and_going(tmp_path, unused_config):
    loop = asyncio.get_running_loop()
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.setblocking(False)
        env = os.environ | {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "serve", "--config", str(unused_config), env=env,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(60):
                assert [await loop.sock_recv(listener, 100) for _ in range(2)] == [b"READY=1\nWATCHDOG=1"] * 2
                server.send_signal(signal.SIGTERM)
                said = b""
                while said != b"STOPPING=1":
                    said = await loop.sock_recv(listener, 100)
                assert await server.wait() == 0
        finally:
            if server.returncode is None:
                server.kill()
                await server.wait()


@pytest.fixture
def unused_config(tmp_path) -> Path:
    """A server that Slack is not there for: that is no reason not to be ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path / "config"
    (home / "oncall").mkdir(parents=True)
    (home / "oncall" / "all.yaml").write_text("people: {ana: {name: Ana, slack: U0ANA}}\nfallback: 'person:ana'\n")
    (home / "agentpager.yaml").write_text(
        f"slack: {{bot_token: x, app_token: x, api_url: 'http://127.0.0.1:9/'}}\nhttp: {{listen: '127.0.0.1:{port}'}}\n"
        "rules: {files: []}\nrunbooks: {files: []}\nagents: {files: []}\nincidents: {files: []}\n"
    )
    return home


# Prometheus


@pytest.mark.interop
def test_the_rules_about_agentpager_fire_and_do_not():
    run(program("promtool"), "test", "rules", "deploy/prometheus/agentpager.tests.yaml")
    assert CliRunner().invoke(cli, ["test", str(DEPLOY / "prometheus" / "agentpager.tests.yaml")]).exit_code == 0


# Kubernetes and containers


def manifests() -> list[dict]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return [part for path in (DEPLOY / "kubernetes" / "base").glob("*.yaml") if path.stem != "kustomization"
                for part in yaml.safe_load_all(path.read_text())]  # fmt: skip
    return list(yaml.safe_load_all(run(kubectl, "kustomize", "deploy/kubernetes/overlays/example")))


def test_what_kustomize_makes_is_what_kubernetes_knows():
    made = manifests()
    assert "StatefulSet" in {one["kind"] for one in made}
    for one in made:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    (pager,) = [one for one in made if one["kind"] == "StatefulSet"]
    assert pager["spec"]["replicas"] == 1  # two would page twice


def test_the_example_configuration_is_one():
    result = CliRunner().invoke(cli, ["check", str(DEPLOY / "kubernetes" / "overlays" / "example")])
    assert (result.exit_code, result.output) == (0, "")


def test_compose_and_dockerfile_name_what_there_is():
    compose = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    assert (ROOT / compose["services"]["agentpager"]["build"]["dockerfile"]).is_file()
    here = [mount.split(":")[0] for mount in compose["services"]["prometheus"]["volumes"]]
    assert all((DEPLOY / "docker" / mount).exists() for mount in here if "secrets" not in mount)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())


# Continuous integration


def test_hooks_and_action_run_commands_that_there_are():
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    steps = "\n".join(step.get("run", "") for step in action["runs"]["steps"])
    commands = {hook["entry"].split()[1] for hook in hooks} | set(re.findall(r"agentpager (\w+)", steps))
    assert commands == {"check", "test", "readiness"}
    assert commands <= set(cli.list_commands(None))
    # What comes from outside gets into a script by the environment, never as text of the script.
    assert "${{ inputs" not in steps
