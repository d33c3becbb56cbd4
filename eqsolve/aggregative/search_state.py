"""Where a search stands, as arrays for a checkpoint."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.sweep import Best, Search, SweepCounts
from eqsolve.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from eqsolve.aggregative.nash import AggregativeNash


@dataclass(slots=True, eq=False)
class SearchState:
    """A search in progress: the live one, changed in place by the steps, or the arrays to rebuild it from.

    Parameters
    ----------
    low, high : (B, d) the blocks of cells that are left. block_bound, block_order : (B,) their bounds, and when they came.
    prices : (P, d) of the last programs. order : the number of the next block.
    best : the best cell with its answer. best_value : its optimum. proven : a bound on all cells solved.
    bound : a bound on all cells, rounding aside. counts : what the search did.
    rescue : whether HiGHS answers where the session gives up.
    more : what else the kind of search needs to go on, see ``Search.more``.
    """

    low: IntArray
    high: IntArray
    block_bound: FloatArray
    block_order: IntArray
    prices: FloatArray
    order: int
    best: Best | None
    best_value: float
    proven: float
    bound: float
    counts: SweepCounts
    rescue: bool
    more: dict[str, Any] = field(default_factory=dict)
    _live: Search | None = None

    @staticmethod
    def of(search: Search, rescue: bool) -> SearchState:
        """The state of a live search."""
        state = SearchState(**_taken(search), rescue=rescue)
        state._live = search
        return state

    def parts(self) -> dict[str, Any]:
        """The arrays and numbers as they are now."""
        now = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "_live"}
        return now if self._live is None else now | _taken(self._live)

    def search(self, algorithm: AggregativeNash, game: AggregativeGame) -> Search:
        """The live search; rebuilt from the arrays after a resume."""
        if self._live is None:
            search = algorithm.search(game, rescue=self.rescue)
            blocks = zip(self.block_bound.tolist(), self.block_order.tolist(), self.low, self.high, strict=True)
            search.restore(list(blocks), self.more)
            search.prices = list(self.prices)
            search.order, search.best, search.best_value = self.order, self.best, self.best_value
            search.proven, search.counts = self.proven, SweepCounts(*astuple(self.counts))
            if not search.heap:
                search.proven = max(search.proven, self.bound)
            self._live = search
        return self._live

    def concluded(self) -> SearchState:
        """The state without the blocks that are left: their bound is kept."""
        parts = self.parts()
        for name in ("low", "high", "block_bound", "block_order"):
            parts[name] = parts[name][:0]
        parts["more"] = {}
        return SearchState(**parts)


def _taken(search: Search) -> dict[str, Any]:
    frontier, d = search.frontier(), len(search.family.grid.cells)
    return {
        "low": np.array([one[2] for one in frontier], dtype=np.int64).reshape(-1, d),
        "high": np.array([one[3] for one in frontier], dtype=np.int64).reshape(-1, d),
        "block_bound": np.array([one[0] for one in frontier], dtype=np.float64),
        "block_order": np.array([one[1] for one in frontier], dtype=np.int64),
        "prices": np.array(search.prices, dtype=np.float64).reshape(-1, d),
        "order": search.order,
        "best": search.best,
        "best_value": search.best_value,
        "proven": search.proven,
        "bound": search.computed_bound(),
        "counts": search.counts,
        "more": search.more(),
    }
