"""An agent that speaks OpenTelemetry GenAI, as the instrumentations of LangChain, the OpenAI agents SDK and others do.

pip install opentelemetry-sdk opentelemetry-exporter-prometheus opentelemetry-util-genai
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.util.genai.handler import TelemetryHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

sys.path.insert(0, str(Path(__file__).parents[1]))
from switch import Switch, serve

switch = Switch(("tools", "model"))
registry = CollectorRegistry()
telemetry = TelemetryHandler(meter_provider=MeterProvider([PrometheusMetricReader(registry=registry)]))


class CrmError(Exception):
    pass


def work() -> None:
    """One case: an agent that asks its model twice and a tool once."""
    with contextlib.suppress(CrmError, TimeoutError), telemetry.invoke_local_agent(agent_name="Support Agent v2"):
        for _ in range(2):
            with telemetry.inference("openai", request_model="gpt-5", operation_name="chat") as call:
                if switch.how == "model":
                    raise TimeoutError
                call.input_tokens, call.output_tokens = 900, 120
        with telemetry.tool("crm", agent_name="Support Agent v2"):
            if switch.how == "tools":
                raise CrmError


if __name__ == "__main__":
    serve(switch, lambda: (generate_latest(registry), CONTENT_TYPE_LATEST), work, 9102)
