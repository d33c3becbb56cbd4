"""A certified approximate pure Nash equilibrium of an aggregative game, the welfare-best of its kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np

from eqsolve.aggregative.bounds import paper_bound, vertex_rounding
from eqsolve.aggregative.certificate import nash_gap
from eqsolve.aggregative.equilibrium import Equilibrium
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.programs import StageFamily
from eqsolve.aggregative.rounding import round_best, round_nearest, sample_profile, support_excess
from eqsolve.aggregative.sweep import Progress, sweep
from eqsolve.aggregative.tolerance import Tolerance
from eqsolve.arrays import real_number, whole_number
from eqsolve.backends import Limits
from eqsolve.certificates import certify
from eqsolve.errors import InvalidData


@dataclass(frozen=True, slots=True)
class AggregativeNash:
    r"""The Nash subroutine: stage programs over a grid of aggregators, the best of them rounded to a pure profile.

    Parameters
    ----------
    tolerance : ``"existence"``, ``"opt"``, ``"paper"``, or a number in payoff units; see ``Tolerance``.
    zeta : with ``"opt"``, the welfare is compared with that of the best (gamma zeta)-equilibrium.
    cells, half_width : the grid; half-widths of delta / 2 when both are left out.
    rounding : ``"best"`` tries the roundings of the few players that mix, ``"nearest"`` takes each player's most likely action.
    variant : ``"corrected"``, or ``"paper"``: tolerance ``paper`` with one Lipschitz constant for all players, and every
        player's action sampled from the backend's own point (Theorem C.1) instead of rounded from a vertex.
    """

    tolerance: str | float = "opt"
    zeta: float = 0.0
    cells: tuple[int, ...] | int | None = None
    half_width: float | None = None
    rounding: Literal["best", "nearest"] = "best"
    variant: Literal["corrected", "paper"] = "corrected"

    def __post_init__(self) -> None:
        if self.rounding not in ("best", "nearest"):
            raise InvalidData(f"rounding is {self.rounding!r}, not 'best' or 'nearest'")
        if self.variant not in ("corrected", "paper"):
            raise InvalidData(f"variant is {self.variant!r}, not 'corrected' or 'paper'")
        if self.variant == "paper" and self.tolerance not in ("opt", "paper"):
            raise InvalidData(f"variant 'paper' has the tolerance 'paper', not {self.tolerance!r}")
        if self.variant == "paper" and self.zeta:
            raise InvalidData(f"zeta is {self.zeta:g} with variant 'paper'", "zeta belongs to tolerance 'opt'.")
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

    def solve(
        self,
        game: AggregativeGame,
        *,
        backend: str = "auto",
        seed: int = 0,
        limits: Limits | None = None,
        progress: Progress | None = None,
    ) -> Equilibrium:
        """Search the cells, round, and certify.

        Parameters
        ----------
        backend : a name; it answers the stage programs. ``auto`` takes their own exact method.
        seed : of the sampling of ``variant="paper"``; nothing else is random.
        limits : of the search; what was reached is returned and says so. Ctrl-C does the same.

        Raises
        ------
        InvalidData : not a game, a backend, a seed or limits.
        NoFeasibleCell : with a tolerance given as a number, when it is too small for every cell.
        InvalidGame : declared Lipschitz constants that samples refute.
        """
        _check_call(game, backend, limits)
        rng = np.random.default_rng(whole_number("seed", seed, 0))
        began = perf_counter()
        if not game.payoff.lipschitz_is_computed:
            game.check_lipschitz()
        merged = game.merged()
        family = self.family(merged)
        built = perf_counter()
        found = sweep(family, backend, limits, progress, vertex=self.variant == "corrected")
        p = found.outcome.x
        assert p is not None
        if self.variant == "paper":
            plays = sample_profile(merged, p, rng)
        else:
            plays = round_nearest(merged, p)
            try:
                plays = round_best(merged, p)[0] if self.rounding == "best" else plays
            except KeyboardInterrupt:
                found = replace(found, ended="interrupt")
        solved = perf_counter()
        gap = nash_gap(merged, plays)
        bounds = [vertex_rounding(merged, family.grid, found.box, support_excess(merged, p))] if self.variant == "corrected" else []
        bounds.append(paper_bound(merged, family.grid, found.box, family.tolerance, sampled=self.variant == "paper"))
        certificate = certify(found.program, found.outcome)
        return Equilibrium(
            given=game,
            game=merged,
            algorithm=self,
            plays=plays,
            gap=gap,
            bounds=tuple(bounds),
            found=found,
            certificate=certificate,
            family=family,
            backend=backend,
            seed=seed,
            seconds={"build": built - began, "solve": solved - built, "certify": perf_counter() - solved},
        )


def _checked_cells(cells: Any) -> tuple[int, ...] | int:
    if isinstance(cells, tuple | list | np.ndarray):
        return tuple(whole_number(f"cells[{k}]", one, 1) for k, one in enumerate(cells))
    return whole_number("cells", cells, 1)


def _check_call(game: object, backend: object, limits: object) -> None:
    if not isinstance(game, AggregativeGame):
        raise InvalidData(f"game is {game!r}, not an AggregativeGame")
    if not isinstance(backend, str):
        raise InvalidData(f"backend is {backend!r}, not a name", "For example: 'auto', 'highs', 'cvxpy:CLARABEL'.")
    if limits is not None and not isinstance(limits, Limits):
        raise InvalidData(f"limits is {limits!r}, not Limits", "For example: Limits(seconds=10).")
