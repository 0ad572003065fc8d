"""Reads the metric definitions out of an installed LiteLLM and writes definitions.json.

pip install litellm && python definitions.py        (or: python definitions.py path/to/the/package/litellm)

Nothing of LiteLLM runs but the module that lists the labels; names, types and texts are read from the source of its
Prometheus integration. The definitions.json beside this file came from the release that it names.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

KINDS = {"_counter_factory": "counter", "_gauge_factory": "gauge", "_histogram_factory": "histogram"}
HERE = Path(__file__).parent


def read(package: Path) -> dict[str, Any]:
    labels = _labels(package / "types" / "integrations" / "prometheus.py")
    tree = ast.parse((package / "integrations" / "prometheus.py").read_text())
    found: dict[str, Any] = {}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        kind = KINDS.get(call.func.attr) if isinstance(call.func, ast.Attribute) else None
        if kind is None:
            continue
        given = dict(zip(("name", "documentation", "labelnames"), call.args, strict=False))
        given |= {word.arg: word.value for word in call.keywords if word.arg}
        name = ast.literal_eval(given["name"])
        found[name] = {
            "type": kind,
            "help": ast.literal_eval(given["documentation"]),
            "labels": _own(given.get("labelnames"), labels, name),
        }
    return dict(sorted(found.items()))


def _labels(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("litellm_prometheus_types", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} cannot be read")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.PrometheusMetricLabels


def _own(node: ast.expr | None, labels: Any, name: str) -> list[str]:
    """Written out in the call, or asked for by the metric's name."""
    if isinstance(node, ast.List | ast.Tuple):
        return [str(ast.literal_eval(one)) for one in node.elts]
    return list(getattr(labels, name, []))


def main() -> None:
    if len(sys.argv) > 1:
        package = Path(sys.argv[1])
        (about,) = package.parent.glob("litellm-*.dist-info/METADATA")
        release = next(line for line in about.read_text().splitlines() if line.startswith("Version: "))[9:]
    else:
        spec = importlib.util.find_spec("litellm")
        if spec is None or spec.origin is None:
            sys.exit("LiteLLM is not installed: pip install litellm")
        package, release = Path(spec.origin).parent, metadata.version("litellm")
    found = {"litellm": release, "metrics": read(package)}
    (HERE / "definitions.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(f"{len(found['metrics'])} metrics of LiteLLM {release}\n")


if __name__ == "__main__":
    main()
