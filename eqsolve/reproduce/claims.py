"""What a paper claims, and whether it reproduces: the last part of a reproduction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eqsolve.reproduce.parts import Part, Row

WORDS = {True: "yes", False: "NO", None: "open"}


@dataclass(frozen=True, slots=True)
class Claims:
    """Sentences of the paper or about it, whether they reproduce (None where that stays open), and the number that says so."""

    rows: list[Row]

    def tell(self, where: str, claim: str, reproduces: bool | None, number: float, measured: str) -> None:
        """One more."""
        row = {"where": where, "claim": claim, "reproduces": reproduces, "number": float(number), "measured": measured}
        self.rows.append(row)

    def most(self, where: str, claim: str, values: Iterable[float], limit: float, measured: str) -> None:
        """No value is above a limit."""
        worst = max(values)
        self.tell(where, claim, bool(worst <= limit), worst, measured.format(worst))

    def least(self, where: str, claim: str, values: Iterable[float], limit: float, measured: str) -> None:
        """No value is below a limit."""
        worst = min(values)
        self.tell(where, claim, bool(worst >= limit), worst, measured.format(worst))

    def part(self) -> Part:
        """The part ``claims``."""
        shown = [("where", "claim", "reproduces", "measured")]
        shown += [(row["where"], row["claim"], WORDS[row["reproduces"]], row["measured"]) for row in self.rows]
        return Part("claims", "What reproduces, and what does not", self.rows, shown)
