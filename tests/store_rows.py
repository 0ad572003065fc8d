"""One of each thing that the store keeps."""

from __future__ import annotations

from core_world import NOW, after

from bot.actions.model import Run, RunState
from bot.agents.evidence import Evidence
from bot.agents.record import Figures, Minute
from bot.audit.model import Entry
from bot.incidents.silences import Silence
from bot.oncall.changes import RotaChange
from bot.paging.model import Page, PageKind
from bot.runbooks.model import Approve
from bot.runbooks.rendered import RenderedCall

PAGE = Page(id="INC-1.1.page.ana", incident="INC-1", kind=PageKind.PAGE, channel="U0ANA", due_at=NOW, reason="because")
ENTRY = Entry(at=NOW, actor="person:ana", action="incident.acked", subject="INC-1")
SILENCE = Silence(
    id="SIL-1", matchers=('alertname="X"',), created_by="person:ana", reason="because",
    created_at=NOW, starts_at=NOW, ends_at=after(hours=1),
)  # fmt: skip
RUN = Run(
    id="RUN-1", incident="INC-1", runbook="Down", step="pause", title="Pause it", state=RunState.ASKED,
    call=RenderedCall(webhook="agent-control", method="POST", path="/pause"), approve=Approve(),
    asked_by="person:ana", asked_at=NOW, due_at=NOW,
)  # fmt: skip
CHANGE = RotaChange(
    id="ROTA-1", kind="override", schedule="primary", people=("ana",), start=NOW, until=after(hours=1),
    by="person:ana", at=NOW,
)  # fmt: skip
EVIDENCE = Evidence(kind="drill", agent="refund-agent", at=NOW, passed=True, summary="passed")
MINUTE = Minute(at=NOW, agents={"refund-agent": Figures(runs=2.0)})
