"""The six agents of the demo as figures: how busy each is, what it calls, what that costs.

How they behave is simulation.py's.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.demo.failures import Failure


@dataclass(frozen=True)
class Model:
    name: str
    provider: str
    input_usd_per_million: float
    output_usd_per_million: float

    def dollars(self, sent: int, got: int) -> float:
        """What so many tokens cost."""
        return (sent * self.input_usd_per_million + got * self.output_usd_per_million) / 1e6


@dataclass(frozen=True)
class Tool:
    """`credential` is the name of the identity the tool's calls are made with; `writes` says that a call changes
    something, so that it leaves a record in the audit trail."""

    name: str
    credential: str
    seconds: float
    error_rate: float = 0.004
    writes: bool = False


@dataclass(frozen=True)
class AgentSpec:
    """Rates are at the busiest hour; `seconds` is the median length of a healthy run."""

    id: str
    title: str
    does: str
    signature: Failure  # the failure this agent is known for, offered first
    runs_per_minute: float
    workers: int
    seconds: float
    tasks: tuple[str, ...]
    model: Model
    llm_calls: float
    input_tokens: int
    output_tokens: int
    tools: tuple[Tool, ...]
    tool_calls: float
    dataset: str
    dataset_refresh_seconds: float
    failure_rate: float = 0.02
    handoff_rate: float = 0.05
    context_tokens: int = 400_000  # of the model's window
    suite: str = "golden"  # its evals
    eval_seconds: float = 3 * 3600
    eval_tasks: int = 40
    version: str = "2026.11.3"
    framework: str = "in-house"
    team: str = "agents"  # as the model gateway knows it
    priced_by_gateway: bool = False  # it counts no dollars of its own


FAST = Model("gpt-5-mini", "openai", 0.25, 2.0)
LARGE = Model("claude-sonnet-4-5", "anthropic", 3.0, 15.0)

ROSTER = (
    AgentSpec(
        id="refund-agent",
        title="Refund agent",
        does="Checks an order and refunds it",
        signature=Failure.CREDENTIAL_EXPIRED,
        runs_per_minute=24,
        workers=12,
        seconds=6,
        tasks=("refund", "partial_refund"),
        model=FAST,
        llm_calls=4,
        input_tokens=2600,
        output_tokens=240,
        tools=(Tool("orders.lookup", "orders-api", 0.4), Tool("payments.refund", "payments-api", 0.9, writes=True)),
        tool_calls=3,
        dataset="refund-policy",
        dataset_refresh_seconds=120,
    ),
    AgentSpec(
        id="triage-agent",
        title="Ticket triage agent",
        does="Reads new tickets and routes them",
        signature=Failure.PROCESS_KILLED,
        runs_per_minute=40,
        workers=16,
        seconds=3,
        tasks=("classify", "route"),
        model=FAST,
        llm_calls=2,
        input_tokens=1400,
        output_tokens=90,
        tools=(Tool("tickets.read", "helpdesk-api", 0.3), Tool("tickets.assign", "helpdesk-api", 0.3, writes=True)),
        tool_calls=2,
        dataset="queue-map",
        dataset_refresh_seconds=90,
        handoff_rate=0.08,
        framework="langgraph",
    ),
    AgentSpec(
        id="kyc-agent",
        title="KYC agent",
        does="Screens new customers against sanctions lists",
        signature=Failure.TOOL_DOWN,
        runs_per_minute=12,
        workers=8,
        seconds=12,
        tasks=("screen", "rescreen"),
        model=LARGE,
        llm_calls=5,
        input_tokens=5200,
        output_tokens=420,
        tools=(Tool("registry.extract", "registry-api", 1.2), Tool("sanctions.search", "sanctions-api", 1.6)),
        tool_calls=4,
        dataset="sanctions-list",
        dataset_refresh_seconds=180,
        handoff_rate=0.12,
        framework="pydantic-ai",
    ),
    AgentSpec(
        id="support-agent",
        title="Support agent",
        does="Answers customers in chat",
        signature=Failure.COST_BURN,
        runs_per_minute=30,
        workers=20,
        seconds=8,
        tasks=("answer", "follow_up"),
        model=LARGE,
        llm_calls=3,
        input_tokens=3800,
        output_tokens=350,
        tools=(Tool("kb.search", "search-key", 0.5), Tool("crm.lookup", "crm-oauth", 0.7)),
        tool_calls=2,
        dataset="knowledge-base",
        dataset_refresh_seconds=120,
        handoff_rate=0.1,
        framework="openai-agents",
    ),
    AgentSpec(
        id="research-agent",
        title="Research agent",
        does="Writes briefings from many sources",
        signature=Failure.RUNAWAY_LOOP,
        runs_per_minute=6,
        workers=6,
        seconds=25,
        tasks=("briefing", "comparison"),
        model=FAST,
        llm_calls=9,
        input_tokens=7000,
        output_tokens=600,
        tools=(Tool("web.search", "search-key", 1.0), Tool("web.fetch", "proxy-key", 1.4)),
        tool_calls=7,
        dataset="source-index",
        dataset_refresh_seconds=150,
        framework="crewai",
    ),
    AgentSpec(
        id="billing-agent",
        title="Billing agent",
        does="Explains and corrects invoices",
        signature=Failure.DATA_STALE,
        runs_per_minute=18,
        workers=10,
        seconds=5,
        tasks=("explain_invoice", "correct_invoice"),
        model=FAST,
        llm_calls=3,
        input_tokens=2900,
        output_tokens=260,
        tools=(
            Tool("invoices.read", "erp-service-account", 0.8),
            Tool("invoices.correct", "erp-service-account", 1.0, writes=True),
        ),
        tool_calls=2,
        dataset="price-list",
        dataset_refresh_seconds=60,
    ),
)
