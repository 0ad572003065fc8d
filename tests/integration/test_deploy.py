"""What is in deploy/, against the tools that would read it: systemd, promtool, kubectl, helm, and the schemas of
Kubernetes and of compose. No container and no cluster is started."""

from __future__ import annotations

import asyncio
import json
import os
import re  # noqa: TID251 - fixed patterns
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import programs
import pytest
import yaml
from click.testing import CliRunner
from ports import free_port

from bot import systemd
from bot.cli.main import cli
from bot.demo.fleet import NAMES
from bot.demo.show import FIRST_AGENT_PORT

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.31"


def program(name: str) -> str:
    """Those of build/tools first, which tests/deploy_tools.py brings: their versions are known."""
    return programs.program(name, first=ROOT / "build" / "tools")


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
    port = free_port()
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
    files = [str(DEPLOY / "prometheus" / name) for name in ("agentpager.tests.yaml", "agentpager.slow.tests.yaml")]
    run(program("promtool"), "test", "rules", *files)
    assert CliRunner().invoke(cli, ["test", *files]).exit_code == 0


# Kubernetes

OVERLAYS = DEPLOY / "kubernetes" / "overlays"
CHART = DEPLOY / "helm" / "agentpager"
# What one may do with the chart: values, and the kinds that come of it.
FEW = ["ConfigMap", "NetworkPolicy", "Pod", "Service", "ServiceAccount", "StatefulSet"]
VALUES: dict[str, tuple[dict, list[str]]] = {
    "untouched": ({}, FEW),
    "replicas": (
        {"replicas": 3, "database": {"kind": "postgresql", "archiveClaim": "old-incidents"}},
        ["ConfigMap", "Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget", "Service", "ServiceAccount"],
    ),
    "everything": (
        {
            "replicas": 2,
            "database": {"kind": "postgresql"},
            "image": {"digest": "sha256:" + "0" * 64},
            "imagePullSecrets": [{"name": "registry"}],
            "commonLabels": {"team": "agents"},
            "settings": {"fallback": "x", "http": {"token": "${HTTP_TOKEN}", "external_url": "https://p.example.com"}},
            "files": {"rules.yaml": "groups: [{name: a, rules: [{alert: A, expr: up, labels: {x: '{{ $value }}'}}]}]"},
            "folders": [{"name": "alerts", "configMap": "my-alerts"}],
            "env": [{"name": "TZ", "value": "UTC"}],
            "serviceAccount": {"annotations": {"a": "b"}},
            "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
            "ingress": {"enabled": True, "className": "nginx", "annotations": {"a": "b"},
                        "hosts": [{"host": "pager.example.com", "paths": ["/slack/events", "/ack"]}],
                        "tls": [{"hosts": ["pager.example.com"], "secretName": "pager-tls"}]},
            "networkPolicy": {"from": [{"podSelector": {}}], "egress": [{"ports": [{"port": 443}]}]},
            "monitoring": {"annotations": True, "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
                           "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True},
                           "dashboard": {"enabled": True}},
            "priorityClassName": "important", "podAnnotations": {"a": "b"}, "podLabels": {"c": "d"},
            "nodeSelector": {"disk": "fast"}, "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}}, "topologySpread": {"zones": "DoNotSchedule"},
        },
        ["ConfigMap", "ConfigMap", "Deployment", "Ingress", "NetworkPolicy", "Pod", "PodDisruptionBudget", "PodMonitor",
         "PrometheusRule", "Service", "ServiceAccount", "ServiceMonitor"],
    ),
    "little": (
        {"existingConfigMap": "mine", "serviceAccount": {"create": False, "name": "theirs"},
         "networkPolicy": {"enabled": False}, "database": {"storage": {"storageClass": "fast"}}},
        ["Pod", "Service", "StatefulSet"],
    ),
}  # fmt: skip


def helm(*arguments: str, values: dict | None = None, refused: bool = False) -> str:
    command = [program("helm"), *arguments, *(["--values", "-"] if values is not None else [])]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode != 0) is refused, done.stdout + done.stderr
    return done.stderr if refused else done.stdout


def rendered(values: dict) -> list[dict]:
    text = helm("template", "live", str(CHART), "--namespace", "agentpager", values=values)
    return [one for one in yaml.safe_load_all(text) if one]


def of_kind(made: list[dict], *kinds: str) -> dict:
    (one,) = [one for one in made if one["kind"] in kinds]
    return one


def pods(made: list[dict]) -> list[dict]:
    return [one["spec"] if one["kind"] == "Pod" else one["spec"]["template"]["spec"]
            for one in made if one["kind"] in {"Pod", "Deployment", "StatefulSet"}]  # fmt: skip


def hold_up(made: list[dict]) -> None:
    """Known to Kubernetes, and restricted as its Pod Security Standards ask. Kinds of Prometheus' operator it does not
    know."""
    for one in made:
        if not one["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    for pod in pods(made):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert {"requests", "limits"} <= set(container["resources"])
        volumes = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
        assert volumes <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        asked = [mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])]
        given = [volume["name"] for volume in pod.get("volumes", [])]
        assert set(given) <= set(asked)
        assert set(asked) - set(given) <= {"state"}  # of a volumeClaimTemplate


@pytest.mark.interop
@pytest.mark.parametrize("name", VALUES)
def test_what_the_chart_makes_is_what_kubernetes_knows(name):
    values, kinds = VALUES[name]
    made = rendered(values)
    assert sorted(one["kind"] for one in made) == kinds
    hold_up(made)
    labels = {key for one in made for key in one["metadata"]["labels"]}
    assert {"app.kubernetes.io/name", "app.kubernetes.io/instance"} <= labels
    selected = {"app.kubernetes.io/name": "agentpager", "app.kubernetes.io/instance": "live"}
    workload = of_kind(made, "Deployment", "StatefulSet")
    assert workload["spec"]["selector"]["matchLabels"] == selected
    assert selected.items() <= workload["spec"]["template"]["metadata"]["labels"].items()
    assert of_kind(made, "Service")["spec"]["selector"] == selected


@pytest.mark.interop
def test_one_pod_keeps_its_database_and_several_share_one():
    alone = of_kind(rendered({}), "StatefulSet")["spec"]
    assert alone["replicas"] == 1
    assert [claim["metadata"]["name"] for claim in alone["volumeClaimTemplates"]] == ["state"]
    made = rendered(VALUES["replicas"][0])
    several = of_kind(made, "Deployment")["spec"]
    assert (several["replicas"], several["strategy"]["rollingUpdate"]["maxUnavailable"]) == (3, 0)
    (container,) = several["template"]["spec"]["containers"]
    assert container["env"] == [
        {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "agentpager-database", "key": "url"}}}
    ]
    assert {one["topologyKey"] for one in several["template"]["spec"]["topologySpreadConstraints"]} == {
        "topology.kubernetes.io/zone", "kubernetes.io/hostname",
    }  # fmt: skip
    store = yaml.safe_load(of_kind(made, "ConfigMap")["data"]["agentpager.yaml"])["store"]
    assert store == {"url": "${DATABASE_URL}", "retention": {"archive": "/var/lib/agentpager/archive"}}


@pytest.mark.interop
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 2}, "replicas does not match: 1"),
        ({"replicaCount": 2}, "Additional property replicaCount is not allowed"),
        ({"database": {"knd": "sqlite"}}, "Additional property knd is not allowed"),
        ({"image": {"digest": "latest"}}, "Does not match pattern"),
        ({"monitoring": {"podMonitor": {"interval": 15}}}, "Invalid type. Expected: string, given: integer"),
        ({"ingress": {"enabled": True}}, "ingress.hosts is empty"),
    ],
)
def test_the_chart_refuses_what_it_does_not_know(values, said):
    assert said in helm("template", "live", str(CHART), values=values, refused=True)


@pytest.mark.interop
def test_every_value_of_the_chart_has_a_place_in_its_schema_and_lint_is_content():
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) - set(values) == {"global"}

    def closed(part: dict) -> list[str]:
        inner = {**part.get("properties", {}), "": part.get("items", {})}
        wrong = [
            name for name, one in inner.items() if one.get("properties") and one["additionalProperties"] is not False
        ]
        return wrong + [name for one in inner.values() if one for name in closed(one)]

    assert closed({"properties": {"root": schema}}) == []


@pytest.mark.interop
@pytest.mark.parametrize("values", [{}, VALUES["replicas"][0]], ids=["sqlite", "postgresql"])
def test_the_charts_configuration_is_one(tmp_path, values):
    for name, text in of_kind(rendered(values), "ConfigMap")["data"].items():
        (tmp_path / name).write_text(text)
    result = CliRunner().invoke(cli, ["check", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.interop
def test_the_chart_carries_the_rules_and_the_dashboard_as_they_are():
    made = rendered(VALUES["everything"][0])
    rules = yaml.safe_load((DEPLOY / "prometheus" / "agentpager.rules.yaml").read_text())
    assert of_kind(made, "PrometheusRule")["spec"] == rules
    (shown,) = [one for one in made if one["kind"] == "ConfigMap" and one["metadata"]["name"].endswith("-dashboard")]
    assert json.loads(shown["data"]["agentpager.json"]) == json.loads(
        (DEPLOY / "grafana" / "dashboard.json").read_text()
    )
    (other,) = [one for one in made if one["kind"] == "ConfigMap" and one is not shown]
    assert other["data"]["rules.yaml"].endswith("{{ $value }}'}}]}]")  # templates of alerts are nobody's but theirs
    assert yaml.safe_load(other["data"]["agentpager.yaml"]) == {
        "fallback": "x",
        "http": {"listen": "0.0.0.0:9095", "token": "${HTTP_TOKEN}", "external_url": "https://p.example.com"},
        "store": {"url": "${DATABASE_URL}"},
    }


@pytest.mark.interop
@pytest.mark.parametrize(
    ("overlay", "kind", "replicas"), [("example", "StatefulSet", 1), ("replicas", "Deployment", 3)]
)
def test_what_kustomize_makes_is_what_kubernetes_knows(overlay, kind, replicas):
    made = list(yaml.safe_load_all(run(program("kubectl"), "kustomize", str(OVERLAYS / overlay))))
    for one in made:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    hold_up(made)
    workload = of_kind(made, "StatefulSet", "Deployment")
    assert (workload["kind"], workload["spec"]["replicas"]) == (kind, replicas)


def test_the_base_by_itself_is_what_kubernetes_knows():
    """Where there is no kubectl."""
    made = [part for path in (DEPLOY / "kubernetes" / "base").glob("*.yaml") if path.stem != "kustomization"
            for part in yaml.safe_load_all(path.read_text())]  # fmt: skip
    for one in made:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    assert of_kind(made, "StatefulSet")["spec"]["replicas"] == 1  # two would page twice


@pytest.mark.parametrize("overlay", ["example", "replicas"])
def test_the_example_configurations_are_some(overlay):
    result = CliRunner().invoke(cli, ["check", str(OVERLAYS / overlay)])
    assert (result.exit_code, result.output) == (0, "")


# Containers

DOCKER = DEPLOY / "docker"


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def judged(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    """By the schemas that check-jsonschema ships."""
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file))
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_compose_is_what_its_specification_knows(tmp_path, compose):
    done = judged("compose-spec", DOCKER / "compose.yaml")
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(json.dumps(compose | {"servces": {}}))
    assert judged("compose-spec", wrong).returncode == 1


def test_compose_names_what_there_is(compose):
    mounts = []
    for service in compose["services"].values():
        if "build" in service:
            assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        mounts += [volume.split(":")[0] for volume in service.get("volumes", [])]
    assert [mount for mount in mounts if mount.startswith(".") and not (DOCKER / mount).exists()] == []
    named = {mount for mount in mounts if not mount.startswith(".")}
    assert named == set(compose["volumes"])
    wanted = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    offered = {line.split("=")[0] for line in (DOCKER / ".env.example").read_text().splitlines() if "=" in line}
    assert offered == wanted


def test_the_image_is_made_of_what_there_is():
    text = (DOCKER / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert all((ROOT / name).exists() for line in copied for name in line.split())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"\.\[([a-z,]+)\]", text)
    assert set(extras.split(",")) == set(project["optional-dependencies"]) - {"dev"}


def test_the_configuration_for_compose_is_one_and_watches_the_fleet_that_there_is(tmp_path):
    for path in (DOCKER / "config").iterdir():
        text = path.read_text().replace("/usr/share/agentpager", str(ROOT))  # where compose mounts both
        (tmp_path / path.name).write_text(text)
    result = CliRunner().invoke(cli, ["check", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, "")
    targets = yaml.safe_load((DOCKER / "config" / "agentpager.yaml").read_text())["metrics"]["scrape"]["targets"]
    watched = {target["labels"].get("agent", "llm-gateway"): target["url"] for target in targets}
    assert watched == {name: f"http://fleet:{FIRST_AGENT_PORT + index}/metrics" for index, name in enumerate(NAMES)}


@pytest.mark.interop
def test_prometheus_takes_its_configuration():
    run(program("promtool"), "check", "config", "--syntax-only", str(DOCKER / "prometheus.yml"))


# Continuous integration


def test_hooks_and_action_run_commands_that_there_are():
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    steps = "\n".join(step.get("run", "") for step in action["runs"]["steps"])
    commands = {hook["entry"].split()[1] for hook in hooks} | set(re.findall(r"agentpager (\w+)", steps))
    assert commands == {"check", "test", "readiness"}
    assert commands <= set(cli.list_commands(None))
    done = judged("github-actions", ROOT / "action.yml")
    assert done.returncode == 0, done.stdout
    # What comes from outside gets into a script by the environment, never as text of the script.
    assert "${{ inputs" not in steps
