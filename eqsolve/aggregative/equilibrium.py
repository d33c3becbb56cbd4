"""What a solve of an aggregative game hands back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eqsolve.aggregative.programs import StageFamily
from eqsolve.aggregative.pure_result import PureResult
from eqsolve.aggregative.search_state import SearchState
from eqsolve.aggregative.sweep import Search, SweepResult
from eqsolve.certificates import ProgramCertificate, certify
from eqsolve.driver.report import Line, entry

if TYPE_CHECKING:
    from eqsolve.aggregative.nash import AggregativeNash


class Equilibrium(PureResult):
    """A pure profile with its exact Nash gap and the certificate of its selection."""

    __slots__ = ()

    state: SearchState

    @property
    def _search(self) -> Search:
        algorithm: AggregativeNash = self.algorithm  # type: ignore[assignment]  # only AggregativeNash makes equilibria
        return self.state.search(algorithm, self.game)

    @property
    def family(self) -> StageFamily:
        """All stage programs."""
        return self._search.family

    @property
    def found(self) -> SweepResult:
        """The best cell and its stage program."""
        return self._search.result()

    @property
    def certificate(self) -> ProgramCertificate:
        """Of the best cell's program and its answer."""
        found = self.found
        return certify(found.program, found.outcome)

    @property
    def bound(self) -> float:
        """No profile that the search ranges over has a larger welfare."""
        return self.found.bound

    @property
    def selection_gap(self) -> float:
        """Bound on the welfare of the equilibria that the search ranges over, minus the welfare reached."""
        return self.bound - self.welfare

    @property
    def welfare_gap(self) -> float:
        """The selection gap relative to the welfare reached; 0 where both are 0."""
        gap = max(self.selection_gap, 0.0)
        return gap / abs(self.welfare) if gap and self.welfare else gap

    @property
    def _within(self) -> bool:
        """Whether the search was asked for a bound of a certain gap rather than for the best of all cells."""
        algorithm: AggregativeNash = self.algorithm  # type: ignore[assignment]  # as above
        return algorithm.split != "all" or algorithm.welfare_gap > 0 or algorithm.welfare_gap_absolute > 0

    @property
    def solver(self) -> str:
        """The backend that answered, with its version."""
        outcome = self.found.outcome
        return f"{outcome.backend} {outcome.version}"

    def details(self) -> dict[str, Any]:
        """The search, and the aggregator."""
        found, family = self.found, self.family
        more = {"welfare_gap": self.welfare_gap, "selects_over": family.tolerance.selects_over(self.merged)} if self._within else {}
        return {
            "value_bound": found.bound,
            **more,
            "search": {**asdict(found.counts), "cells_of_grid": family.size, "cell": found.cell},
            "aggregator": self.aggregator.tolist(),
        }

    def lines(self) -> list[Line]:
        """The welfare with its bound, the aggregator, the programs."""
        found, family = self.found, self.family
        counts, set_of = found.counts, family.tolerance.selects_over(self.merged)
        gap = [(entry("welfare gap", f"{100 * self.welfare_gap:.3g} %", "up to that bound"), "")] if self._within else []
        return [
            (entry("welfare", f"{self.welfare:,.6g}", f"at most {found.bound:,.6g} over {set_of}"), ""),
            *gap,
            (entry("aggregator", ", ".join(f"{one:.4g}" for one in self.aggregator)), ""),
            (entry("programs", f"{counts.programs} solved", f"of {family.size:,} cells; {counts.blocks:,} blocks tested"), ""),
        ]
