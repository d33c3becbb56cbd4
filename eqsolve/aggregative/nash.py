"""A certified approximate pure Nash equilibrium of an aggregative game, the welfare-best of its kind."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Literal

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
        Tolerance.of(self.tolerance, self.zeta)

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
        backend : answers the stage programs; ``auto`` takes their own exact method.
        seed : of the sampling of ``variant="paper"``; nothing else is random.
        limits : of the search; what was reached is returned and says so. Ctrl-C does the same.

        Raises
        ------
        NoFeasibleCell : with a tolerance given as a number, when it is too small for every cell.
        InvalidGame : declared Lipschitz constants that samples refute.
        """
        began = perf_counter()
        if not game.payoff.lipschitz_is_computed:
            game.check_lipschitz()
        merged = game.merged()
        family = self.family(merged)
        built = perf_counter()
        found = sweep(family, backend, limits, progress, vertex=self.variant == "corrected")
        p = found.outcome.x
        assert p is not None
        rng = np.random.default_rng(seed)
        if self.variant == "paper":
            plays = sample_profile(merged, p, rng)
        else:
            plays = round_best(merged, p)[0] if self.rounding == "best" else round_nearest(merged, p)
        solved = perf_counter()
        gap = nash_gap(merged, plays)
        bounds = [vertex_rounding(merged, family.grid, found.box, support_excess(merged, p))] if self.variant == "corrected" else []
        bounds.append(paper_bound(merged, family.grid, found.box, family.tolerance))
        certificate = certify(found.program, found.outcome)
        return Equilibrium(
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
