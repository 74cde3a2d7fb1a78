"""What a campaign counted."""

from __future__ import annotations

from dataclasses import dataclass, field

_ROW = "{:<18} {:<22} {:>6} {:>8}"
HEADING = _ROW.format("fault", "where", "trials", "failures")


@dataclass(slots=True)
class Tally:
    """Trials and what failed in them; a campaign that did not one trial has failed."""

    name: str
    where: str
    trials: int = 0
    facts: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def hold(self, claim: object, story: str) -> None:
        if not claim:
            self.failures.append(story)

    @property
    def is_good(self) -> bool:
        return self.trials > 0 and not self.failures

    def line(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        return f"{_ROW.format(self.name, self.where, self.trials, len(self.failures))}  {facts}"
