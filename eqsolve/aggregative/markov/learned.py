"""What a learner hands back."""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.aggregative.markov.learning import Learned, Plan
from eqsolve.aggregative.markov.result import PureMarkov
from eqsolve.arrays import FloatArray
from eqsolve.driver.report import Line, entry


class LearnedEquilibrium(PureMarkov):
    """The plan of least width, with what the learner knows of it beside the exact gap of the true model.

    ``history`` is the learning curve: for each plan the number of episodes that it rests on, Delta, the stage gaps, and both
    confidence bounds on the value of the player for whom they are farthest apart.
    """

    __slots__ = ()

    state: Learned

    @property
    def best(self) -> Plan:
        """The plan of least width."""
        assert self.state.best is not None
        return self.state.best

    @property
    def delta(self) -> float:
        """Delta, its width."""
        return self.best.delta

    @property
    def eps(self) -> float:
        """The sum over steps of the largest gap of its optimistic stage games."""
        return self.best.eps

    @property
    def bound(self) -> float:
        """With probability 1 - p, the true gap of every plan of the run is at most its own: Delta + eps, or less."""
        return self.best.bound

    @property
    def episodes(self) -> int:
        """Episodes played, all of them."""
        return self.state.episodes

    @property
    def visited(self) -> int:
        """Places (step, state, cell) that were visited."""
        return len(self.state.samples)

    @property
    def band(self) -> FloatArray:
        """(n, 2) pessimistic and optimistic value of each player, from the initial distribution."""
        return np.stack((self.best.lower @ self.game.initial, self.best.upper @ self.game.initial), axis=1)

    @property
    def is_experimental(self) -> bool:
        """Whether the algorithm is marked experimental."""
        return bool(self.algorithm.experimental)  # type: ignore[attr-defined]  # only learners make these results

    def lines(self) -> list[Line]:
        """Width, episodes, cells, the aggregator."""
        algorithm: Any = self.algorithm
        sure = f"with probability {1 - algorithm.p:g} the gap is at most {self.bound:.4g}"
        wanted = f"wanted: {algorithm.wanted(self.game):.4g}"
        grid, S = algorithm.grids(self.game), self.game.n_states
        cells = f"of {S * sum(one.size for one in grid):,} places visited; half-width {grid[0].b:.3g}"
        warning = [(entry("experimental", "rewards are learned too", "no rate of convergence is proved"), "")]
        return [
            (entry("width Delta", f"{self.delta:.4g}", f"{wanted}; stage gaps {self.eps:.4g}; {sure}"), ""),
            (entry("episodes", f"{self.episodes:,}", f"at most {algorithm.episodes:,}; {self.iterations} plans"), ""),
            (entry("cells", f"{self.visited:,}", cells), ""),
            *(warning if self.is_experimental else []),
            *PureMarkov.lines(self),
        ]

    def details(self) -> dict[str, Any]:
        """What was learned, and the aggregator."""
        learning = {
            "delta": self.delta,
            "eps": self.eps,
            "bound": self.bound,
            "episodes": self.episodes,
            "visited": self.visited,
            "experimental": self.is_experimental,
        }
        return {**PureMarkov.details(self), "learning": learning}
