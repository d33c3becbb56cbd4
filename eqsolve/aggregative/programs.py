"""The explicit programs of aggregative games in normal form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.multiple_choice import MultipleChoice
from eqsolve.aggregative.part import Part
from eqsolve.aggregative.tolerance import Tolerance
from eqsolve.arrays import BoolArray, FloatArray, IntArray
from eqsolve.errors import InvalidData
from eqsolve.programs import Program, ProgramBuilder, ProgramFamily, Update

TIE = 1e-14
"""Rounding of a payoff, relative to the largest payoff of its type, that still counts as equal; part of the tolerance."""
ROUNDING = 1e-12
"""Rounding of a sum over players, relative to the sum of their largest amounts: cells are wider by it, so that a profile on
a face lies in both neighbours."""


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A block of cells seen from its centre: Lipschitz constants and tolerances that hold on all of it.

    For the types of a part of the game: ``gamma`` (T',) and ``eta`` (T',) hold for every aggregator that a player can cause
    from within the box; ``allowed`` (N',) contains every action that is an approximate best response at the centre of some
    cell of the box.
    """

    centre: FloatArray
    half_width: FloatArray
    gamma: FloatArray
    eta: FloatArray
    allowed: BoolArray

    @staticmethod
    def at(part: Part, grid: Grid, tolerance: Tolerance, low: IntArray, high: IntArray, *, tight: bool = False) -> Box:
        """The block of cells ``low <= index < high`` per coordinate, for the types of a part; one cell at ``high = low + 1``.

        ``tight`` bounds the payoffs over the block also by ``Payoffs.range_on`` and ``lead_on``, which rule out more actions of
        large blocks.
        """
        game = part.game
        centre = grid.centre(low, high)
        half = (high - low) * grid.half_width
        if not part.n_types:
            return Box(centre, half, np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool))
        if tolerance.is_local:
            # A profile rounded from a vertex lies within d delta / 2 of its cell, a deviation within delta of the profile.
            reach = half + game.delta * (1 + game.n_coordinates / 2) * (1 + 1e-9)
            gamma_columns = part.payoff.lipschitz(np.maximum(centre - reach, game.lower), np.minimum(centre + reach, game.upper))
        else:
            gamma_columns = np.full(len(part.columns), game.gamma.max())
        gamma = part.reduce(np.maximum, gamma_columns)
        away = float((half - grid.half_width).max())
        u = part.payoff.batch(centre[None, :])[0]
        eta = tolerance.values(game, gamma, part.gamma, grid.b) + TIE * part.reduce(np.maximum, np.abs(u))
        least, most = u - gamma_columns * away, u + gamma_columns * away
        if not tight or away <= 0:
            floor = part.reduce(np.maximum, least) - eta
            return Box(centre, half, gamma, eta, most >= floor[part.owner])
        inner = half - grid.half_width
        lower, upper = np.maximum(centre - inner, game.lower), np.minimum(centre + inner, game.upper)
        own = part.payoff.range_on(lower, upper)
        least, most = np.maximum(least, own[0]), np.minimum(most, own[1])
        floor = part.reduce(np.maximum, least) - eta
        allowed = most >= floor[part.owner]
        columns, others, first = part.pairs()
        lead = part.payoff.lead_on(columns, others, lower, upper)
        if lead is not None:
            allowed &= np.minimum.reduceat(lead, first) >= -eta[part.owner]
        return Box(centre, half, gamma, eta, allowed)


class StageFamily(ProgramFamily):
    r"""The stage program of every cell of a grid (section 4.1.1 of Tang, Tang and Wu).

    .. math:: \max\ \sum_{t,j} w_{tj} p_{tj} \quad \text{s.t.} \quad \sum_j p_{tj} = N_t, \qquad
              \hat x_k - b_k \le \sum_{t,j} g^k_{tj} p_{tj} \le \hat x_k + b_k, \qquad
              p_{tj} = 0 \text{ for } j \notin BA_t(\hat x)

    Each aggregator row is divided by the influence of one player on its coordinate, so that it counts players rather than
    shares and stands far above the tolerances of solvers.

    Parameters
    ----------
    game, grid, tolerance : as above.

    Raises
    ------
    InvalidData : a grid over another range than the game's.
    """

    def __init__(self, game: AggregativeGame, grid: Grid, tolerance: Tolerance) -> None:
        if not (np.array_equal(grid.lower, game.lower) and np.array_equal(grid.upper, game.upper)):
            raise InvalidData("the grid does not cover the range of this game", "Make it by Grid.over(game, ...).")
        self.game, self.grid, self.tolerance = game, grid, tolerance
        self.scale = 1.0 / influence_unit(game)
        self._base = _base_program(game, self.scale)
        self._whole = Part.whole(game)

    @property
    def base(self) -> Program:
        """The program with all actions allowed and the whole range as its cell."""
        return self._base

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.grid.size

    @property
    def size_of_constants(self) -> float:
        """The largest |constant| in the objective of a cell, for rounding."""
        return 0.0

    def largest_constant(self, centre: FloatArray, half_width: FloatArray) -> float:
        """A bound on the constants in the objectives of all cells of a block (d,); there are none in a game that ends here."""
        return 0.0

    def box(self, number: int) -> Box:
        """The cell's tolerances and allowed actions."""
        low = np.asarray(self.grid.index(number))
        return Box.at(self._whole, self.grid, self.tolerance, low, low + 1)

    def update(self, i: int) -> Update:
        """Bounds of cell i."""
        return self.update_of(i, self.box(i))

    def update_of(self, i: int, box: Box) -> Update:
        """Bounds of cell i whose box is known already."""
        where = ", ".join(f"{one:.6g}" for one in box.centre)
        return self._bounds_of(box, f"cell {i} of {self.size}: x = ({where}), b = {self.grid.b:.3g}")

    def relaxation(self, low: IntArray, high: IntArray) -> Update:
        """Bounds of the relaxation of a block of cells: worth at least as much as each cell of the block, constants aside."""
        box = Box.at(self._whole, self.grid, self.tolerance, low, high, tight=True)
        where = ", ".join(f"{one:.6g}" for one in box.centre)
        width = ", ".join(f"{one:.3g}" for one in box.half_width)
        cells = int(np.prod(high - low, dtype=object))
        return self._bounds_of(box, f"a block of {cells} cells of {self.size}: x = ({where}), half-widths ({width})")

    def _bounds_of(self, box: Box, note: str) -> Update:
        game = self.game
        row_lower, row_upper = self._base.row_lower.copy(), self._base.row_upper.copy()
        low, high = (box.centre - box.half_width) * self.scale, (box.centre + box.half_width) * self.scale
        rounding = ROUNDING * game.magnitude * self.scale
        row_lower[game.n_types :] = low - rounding
        row_upper[game.n_types :] = high + rounding
        return Update(
            row_lower=row_lower,
            row_upper=row_upper,
            col_upper=np.where(box.allowed, game.players[game.owner], 0.0),
            note=note,
        )


def stage_program(game: AggregativeGame, grid: Grid, tolerance: Tolerance | str, cell: int) -> Program:
    """The stage program of one cell; see ``StageFamily``."""
    return StageFamily(game, grid, Tolerance.of(tolerance))[cell]


def influence_unit(game: AggregativeGame) -> FloatArray:
    """(d,) the influence of one player on each coordinate; where there is none, the largest amount, or 1."""
    span = game.reduce(np.maximum, game.contribution.T) - game.reduce(np.minimum, game.contribution.T)
    largest = np.abs(game.contribution).max(axis=0)
    influence = span.max(axis=1)
    return np.where(influence > 0, influence, np.where(largest > 0, largest, 1.0))


def _base_program(game: AggregativeGame, scale: FloatArray) -> Program:
    one_each = bool((game.players == 1).all())
    axes = ("player" if one_each else "type", "action")
    builder = ProgramBuilder("aggregative stage program", sense="max")
    m = int(game.n_actions[0])
    rectangular = bool((game.n_actions == m).all())
    type_labels = game.types or None
    action_labels = game.actions[:m] if rectangular and game.actions[:m] * game.n_types == game.actions and game.actions else None
    p = builder.columns(
        "p",
        (game.n_types, m) if rectangular else (),
        counts=None if rectangular else game.n_actions,
        axes=axes,
        labels=(type_labels, action_labels),
        upper=game.players[game.owner],
    )
    one = builder.rows("one_action", (game.n_types,), axes=axes[:1], labels=(type_labels,), lower=game.players, upper=game.players)
    x = builder.rows(
        "aggregator",
        (game.n_coordinates,),
        axes=("coordinate",),
        labels=(game.coordinates or None,),
        lower=(game.lower - ROUNDING * game.magnitude) * scale,
        upper=(game.upper + ROUNDING * game.magnitude) * scale,
    )
    builder.add(one, p, game.owner, np.arange(game.n_columns))
    column, k = np.nonzero(game.contribution)
    builder.add(x, p, k, column, game.contribution[column, k] * scale[k])
    builder.objective(p, game.weights)
    return builder.build(structure=MultipleChoice(game.offsets), note="the whole attainable range, every action allowed")
