"""What an evaluation remarks about its own answer: warnings and infos, in Prometheus' words.

Nobody has to ask: an evaluation without a collector spends nothing on remarks.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Notes:
    """Every remark once, in order of appearance. Prometheus' API shows `warnings` and `infos`."""

    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        self.warnings[f"PromQL warning: {text}"] = None

    def inform(self, text: str) -> None:
        self.infos[f"PromQL info: {text}"] = None
