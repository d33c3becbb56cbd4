"""What a solve of an aggregative game hands back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.profile import PureProfile
from eqsolve.aggregative.programs import StageFamily
from eqsolve.aggregative.search_state import SearchState
from eqsolve.aggregative.sweep import Search, SweepResult
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.certificates import ProgramCertificate, certify
from eqsolve.driver import Result
from eqsolve.driver.report import Line, entry

if TYPE_CHECKING:
    from eqsolve.aggregative.nash import AggregativeNash


@dataclass(frozen=True, slots=True, eq=False)
class Equilibrium(Result[AggregativeGame, SearchState, PureProfile]):
    """A pure profile with its exact Nash gap and the certificate of its selection.

    ``game`` is the game as it was given; ``merged`` the same with equal players made types, over whose columns ``plays`` counts.
    """

    @property
    def _search(self) -> Search:
        algorithm: AggregativeNash = self.algorithm  # type: ignore[assignment]  # only AggregativeNash makes equilibria
        return self.state.search(algorithm, self.game)

    @property
    def family(self) -> StageFamily:
        """All stage programs."""
        return self._search.family

    @property
    def merged(self) -> AggregativeGame:
        """The game with equal players merged into types."""
        return self.family.game

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
    def plays(self) -> IntArray:
        """(N,) players per column of ``merged``."""
        return self.policy.plays

    @property
    def actions(self) -> IntArray:
        """(n,) one action per player, in the order of the game as given."""
        return self.merged.profile(self.plays)

    @property
    def aggregator(self) -> FloatArray:
        """(d,) the aggregator of the profile."""
        return self.merged.aggregator(self.plays)

    @property
    def welfare(self) -> float:
        """The social welfare of the profile."""
        return self.value

    @property
    def bound(self) -> float:
        """No profile that the search ranges over has a larger welfare."""
        return self.found.bound

    @property
    def selection_gap(self) -> float:
        """Bound on the welfare of the equilibria that the search ranges over, minus the welfare reached."""
        return self.bound - self.welfare

    @property
    def rounding(self) -> float:
        """What rounding can make of a payoff difference: of the payoffs themselves, and of sums over players."""
        game = self.merged
        payoffs = np.abs(game.payoff.batch(self.aggregator[None, :])).max()
        return float(1e-12 * payoffs + 1e-13 * game.gamma.max() * game.magnitude.max())

    @property
    def solver(self) -> str:
        """The backend that answered, with its version."""
        outcome = self.found.outcome
        return f"{outcome.backend} {outcome.version}"

    def details(self) -> dict[str, Any]:
        """The search, and the aggregator."""
        found, family = self.found, self.family
        return {
            "value_bound": found.bound,
            "search": {**asdict(found.counts), "cells_of_grid": family.size, "cell": found.cell},
            "aggregator": self.aggregator.tolist(),
        }

    def lines(self) -> list[Line]:
        """The welfare with its bound, the aggregator, the programs."""
        found, family = self.found, self.family
        counts, set_of = found.counts, family.tolerance.selects_over(self.merged)
        return [
            (entry("welfare", f"{self.welfare:,.6g}", f"at most {found.bound:,.6g} over {set_of}"), ""),
            (entry("aggregator", ", ".join(f"{one:.4g}" for one in self.aggregator)), ""),
            (entry("programs", f"{counts.programs} solved", f"of {family.size:,} cells; {counts.blocks:,} blocks tested"), ""),
        ]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """``actions.csv``: one row per player."""
        game, actions = self.game, self.actions
        kind = game.player_types
        labels = [game.action_label(c) for c in range(game.n_columns)]
        types = game.types or range(game.n_types)
        columns = (game.offsets[kind] + actions).tolist()
        rows = [(i, types[t], labels[c]) for i, (t, c) in enumerate(zip(kind.tolist(), columns, strict=True))]
        return {"actions.csv": [("player", "type", "action"), *rows]}
