"""What an import says of each part of the file: where it went, what is different here, what is not taken over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

# taken: means the same here · changed: does nearly the same, the text says how it differs · left: not taken over
Outcome = Literal["taken", "changed", "left"]
HEADS: dict[Outcome, str] = {
    "left": "Not taken over",
    "changed": "Taken over, and different here",
    "taken": "Taken over",
}


@dataclass(frozen=True, order=True)
class Entry:
    """`what` names the part in the words of the file, `text` where it went or what to do instead."""

    file: str
    line: int
    column: int
    outcome: Outcome
    what: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass
class Report:
    """`variables` are the secrets that were not copied: name → where the value stands."""

    entries: list[Entry] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    to_do: list[str] = field(default_factory=list)

    def of(self, outcome: Outcome) -> list[Entry]:
        return sorted({entry for entry in self.entries if entry.outcome == outcome})

    @property
    def complete(self) -> bool:
        """Whether everything in the file means the same here."""
        return not self.of("left") and not self.of("changed")

    def lines(self) -> Iterator[str]:
        for outcome, head in HEADS.items():
            entries = self.of(outcome)
            if entries:
                yield f"{head}: {len(entries)}"
                yield from (f"  {entry.place}: {entry.what}: {entry.text}" for entry in entries)
                yield ""
        if self.variables:
            yield f"Secrets, not copied: {len(self.variables)}. Set these variables where agentpager runs"
            yield from (f"  {name}: {where}" for name, where in sorted(self.variables.items()))
            yield ""
        if self.to_do:
            yield "To do"
            yield from (f"  {line}" for line in dict.fromkeys(self.to_do))

    def text(self) -> str:
        return "\n".join(self.lines()).rstrip("\n") + "\n"
