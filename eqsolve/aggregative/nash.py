"""A certified approximate pure Nash equilibrium of an aggregative game, the welfare-best of its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from eqsolve.aggregative.bounds import paper_bound, vertex_rounding
from eqsolve.aggregative.box_search import BoxSearch
from eqsolve.aggregative.equilibrium import Equilibrium
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.profile import PureProfile
from eqsolve.aggregative.programs import StageFamily
from eqsolve.aggregative.rounding import round_best, round_nearest, sample_profile, support_excess
from eqsolve.aggregative.search_state import SearchState
from eqsolve.aggregative.sweep import Search
from eqsolve.aggregative.tolerance import Tolerance
from eqsolve.arrays import real_number, whole_number
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program

BLOCKS = 64
"""Blocks of cells that one step tests at most."""
PROGRAM_TOLERANCE = 1e-6
SELECTORS = ("best", "base", "cell:NUMBER")


@dataclass(frozen=True, slots=True)
class AggregativeNash(Algorithm[AggregativeGame, SearchState, PureProfile]):
    r"""The Nash subroutine: stage programs over a grid of aggregators, the best of them rounded to a pure profile.

    One step tests up to 64 blocks of cells, until it has solved one program.

    Parameters
    ----------
    tolerance : ``"existence"``, ``"opt"``, ``"paper"``, or a number in payoff units; see ``Tolerance``.
    zeta : with ``"opt"``, the welfare is compared with that of the best (gamma zeta)-equilibrium.
    cells, half_width : the grid; half-widths of delta / 2 when both are left out.
    rounding : ``"best"`` tries the roundings of the few players that mix, ``"nearest"`` takes each player's most likely action.
    split : ``"all"`` cuts blocks of cells along all axes at once; ``"widest"`` along one, with relaxations and plunges, for
        aggregators of four coordinates and more (see ``BoxSearch``).
    welfare_gap, welfare_gap_absolute : the search is complete when no cell's program can be better than the best one found by
        more than the larger of ``welfare_gap`` times its size, and ``welfare_gap_absolute`` in units of welfare. At 0 it ends
        with the best of all cells.
    variant : ``"corrected"``, or ``"paper"``: tolerance ``paper`` with one Lipschitz constant for all players, and every
        player's action sampled from the backend's own point (Theorem C.1) instead of rounded from a vertex.

    Raises
    ------
    InvalidGame : declared Lipschitz constants that samples refute.
    NoFeasibleCell : with a tolerance given as a number, when it is too small for every cell.
    """

    tolerance: str | float = "opt"
    zeta: float = 0.0
    cells: tuple[int, ...] | int | None = None
    half_width: float | None = None
    rounding: Literal["best", "nearest"] = "best"
    variant: Literal["corrected", "paper"] = "corrected"
    split: Literal["all", "widest"] = "all"
    welfare_gap: float = 0.0
    welfare_gap_absolute: float = 0.0

    period: ClassVar[int] = 8

    def __post_init__(self) -> None:
        if self.rounding not in ("best", "nearest"):
            raise InvalidData(f"rounding is {self.rounding!r}, not 'best' or 'nearest'")
        if self.variant not in ("corrected", "paper"):
            raise InvalidData(f"variant is {self.variant!r}, not 'corrected' or 'paper'")
        if self.variant == "paper" and self.tolerance not in ("opt", "paper"):
            raise InvalidData(f"variant 'paper' has the tolerance 'paper', not {self.tolerance!r}")
        if self.variant == "paper" and self.zeta:
            raise InvalidData(f"zeta is {self.zeta:g} with variant 'paper'", "zeta belongs to tolerance 'opt'.")
        if self.split not in ("all", "widest"):
            raise InvalidData(f"split is {self.split!r}, not 'all' or 'widest'")
        for name in ("welfare_gap", "welfare_gap_absolute"):
            object.__setattr__(self, name, real_number(name, getattr(self, name), least=0.0))
        Tolerance.of(self.tolerance, self.zeta)
        if self.half_width is not None:
            object.__setattr__(self, "half_width", real_number("half_width", self.half_width))
        if self.cells is not None:
            object.__setattr__(self, "cells", _checked_cells(self.cells))

    def family(self, game: AggregativeGame) -> StageFamily:
        """The stage programs of a game, one per cell, for inspection."""
        cells = (self.cells,) * game.n_coordinates if isinstance(self.cells, int) else self.cells
        tolerance = Tolerance.of("paper") if self.variant == "paper" else Tolerance.of(self.tolerance, self.zeta)
        return StageFamily(game, Grid.over(game, cells, self.half_width), tolerance)

    def search(self, game: AggregativeGame, *, rescue: bool) -> Search:
        """A search that has not begun, over the game with equal players merged."""
        return self.search_over(self.family(game.merged()), rescue=rescue)

    def search_over(self, family: StageFamily, *, rescue: bool) -> Search:
        """A search that has not begun, over some stage programs."""
        kind = Search if self.split == "all" else BoxSearch
        relative, absolute = self.welfare_gap, self.welfare_gap_absolute
        return kind(family, vertex=self.variant == "corrected", rescue=rescue, relative=relative, absolute=absolute)

    def init(self, game: AggregativeGame, run: Run) -> SearchState:
        """Nothing tested yet."""
        if not game.payoff.lipschitz_is_computed:
            game.check_lipschitz()
        rescue = run.backend == "auto"
        return SearchState.of(self.search(game, rescue=rescue), rescue)

    def step(self, game: AggregativeGame, state: SearchState, run: Run) -> tuple[SearchState, Record]:
        """Take blocks apart until a program has been solved."""
        search = state.search(self, game)
        session = run.keep("stage programs", lambda: search.open(run.backend))
        solved = search.counts.programs
        for _ in range(BLOCKS):
            search.take(session, run.remaining())
            if search.is_complete or search.counts.programs > solved:
                break
        record = {"blocks": search.counts.blocks, "programs": search.counts.programs}
        return state, record | {"welfare": search.best_value, "bound": search.bound()}

    def done(self, game: AggregativeGame, state: SearchState) -> Status | None:
        """Converged when no cell that is left can be better, or better by more than the gap asked for."""
        return Status.CONVERGED if state.search(self, game).is_complete else None

    def finish(self, game: AggregativeGame, state: SearchState, run: Run) -> PureProfile:
        """The best cell's point, rounded (or sampled) to a pure profile."""
        search = state.search(self, game)
        p = search.result().outcome.x
        assert p is not None
        merged = search.family.game
        if self.variant == "paper":
            return PureProfile(sample_profile(merged, p, np.random.default_rng(run.seed)))
        plays = round_nearest(merged, p)
        try:
            plays = round_best(merged, p)[0] if self.rounding == "best" else plays
        except KeyboardInterrupt:
            run.interrupted = True
        return PureProfile(plays)

    def conclude(self, game: AggregativeGame, state: SearchState) -> SearchState:
        """The best answer and the bound, without the blocks that were left."""
        return state.concluded()

    def bounds(self, game: AggregativeGame, state: SearchState, policy: PureProfile) -> tuple[Bound, ...]:
        """Vertex rounding, and the paper's."""
        search = state.search(self, game)
        family, best = search.family, search.result()
        p = best.outcome.x
        assert p is not None
        merged = family.game
        paper = paper_bound(merged, family.grid, best.box, family.tolerance, sampled=self.variant == "paper")
        if self.variant == "paper":
            return (paper,)
        return (vertex_rounding(merged, family.grid, best.box, support_excess(merged, p)), paper)

    def objection(self, result: Result[AggregativeGame, SearchState, PureProfile]) -> str:
        """A stage program whose certificate fails, or a gap above what is proved."""
        assert isinstance(result, Equilibrium)
        if not result.certificate.holds(PROGRAM_TOLERANCE):
            return "the certificate of the stage program fails"
        proved = [bound.value for bound in result.bounds if bound.name == "vertex rounding" and bound.value is not None]
        if any(result.gap.upper > value + result.rounding for value in proved):
            return "the exact gap exceeds its bound: a Lipschitz constant is too small"
        return ""

    def program(self, result: Result[AggregativeGame, SearchState, PureProfile], *which: Any) -> Program:
        """The stage program of a cell, 0 to ``family.size - 1``; of the best one by default."""
        assert isinstance(result, Equilibrium)
        if not which:
            return result.found.program
        number = whole_number("cell", which[0], 0)
        if number >= result.family.size:
            raise InvalidData(f"there is no cell {number} in a grid of {result.family.size:,} cells")
        return result.family[number]

    def select(
        self, game: AggregativeGame, selector: str, solved: Callable[[], Result[AggregativeGame, SearchState, PureProfile]]
    ) -> Program:
        """``best`` (the default) is the program of the run; ``base`` has the whole attainable range as its cell; ``cell:217``."""
        if selector in ("", "best"):
            return solved().program()
        family = self.family(game.merged())
        if selector == "base":
            return family.base
        kind, _, number = selector.partition(":")
        if kind != "cell":
            raise unknown("program", selector, SELECTORS)
        if not number.isdecimal() or int(number) >= family.size:
            there = f"in a grid of {family.size:,} cells"
            raise InvalidData(f"there is no cell {number or '(none)'} {there}", f"Give cell:0 to cell:{family.size - 1}.")
        return family[int(number)]

    def result_class(self) -> type[Result[AggregativeGame, SearchState, PureProfile]]:
        """Equilibrium."""
        return Equilibrium


def _checked_cells(cells: Any) -> tuple[int, ...] | int:
    if isinstance(cells, tuple | list | np.ndarray):
        return tuple(whole_number(f"cells[{k}]", one, 1) for k, one in enumerate(cells))
    return whole_number("cells", cells, 1)
