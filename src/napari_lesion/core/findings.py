"""Traffic lights with a sentence: what a check of a study found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How serious a finding is."""

    GREEN = 0
    YELLOW = 1
    RED = 2
    """Cannot be computed; the only level that refuses."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Parameters
    ----------
    level
        How serious it is.
    code
        Short stable name for tests and JSON, such as ``missing_slices``.
    message
        One sentence for the user.
    """

    level: Level
    code: str
    message: str


@dataclass(frozen=True)
class Check:
    """Everything that a check found.

    Parameters
    ----------
    findings
        In the order of their discovery; a check always says at least one thing.
    """

    findings: tuple[Finding, ...] = ()

    @property
    def level(self) -> Level:
        """The most serious level; green when nothing was found."""
        return max((finding.level for finding in self.findings), default=Level.GREEN)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all findings."""
        return tuple(finding.code for finding in self.findings)

    @property
    def headline(self) -> str:
        """Message of the most serious finding, the first of its level."""
        worst = [finding.message for finding in self.findings if finding.level == self.level]
        return worst[0] if worst else ""

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "level": self.level.name.lower(),
            "findings": [
                {"level": f.level.name.lower(), "code": f.code, "message": f.message} for f in self.findings
            ],
        }
