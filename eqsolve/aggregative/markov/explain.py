"""The explicit programs of a learner, rebuilt from its episodes: confidence sets with Lipschitzness, optimistic stage games."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.markov.backward import BackwardAlgorithm
from eqsolve.aggregative.markov.extraction import MOST_CELLS, confidence_program
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.samples import cell_of, fitting_half_width
from eqsolve.aggregative.markov.simulator import aggregators_of
from eqsolve.aggregative.markov.stage import Classes
from eqsolve.arrays import FloatArray, whole_number
from eqsolve.driver import Result
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program

if TYPE_CHECKING:
    from eqsolve.aggregative.markov.learning import Learned, Learning, Place

SELECTORS = (
    "confidence:STEP:STATE",
    "confidence:STEP:STATE:player:NUMBER:cell:NUMBER:side:lower",
    "stage:STEP:STATE",
    "stage:STEP:STATE:cell:NUMBER",
)


def program_of(algorithm: Learning, result: Result[Any, Learned, Any], *which: Any) -> Program:
    """A program at a step and a state, by all episodes of the run and the policy's values by them.

    ``("confidence", h, s)`` bounds what the next step is worth to player 0 in the cell where the policy's aggregator lies; further
    pairs choose: ``"player", i``, ``"cell", number``, ``"side", "upper" or "lower"``. ``("stage", h, s)`` is the optimistic stage
    program of the cell of the Nash subroutine's grid in which the policy's aggregator lies, or of ``"cell", number``. Without
    arguments: the confidence program of the first step and the likeliest first state.

    Raises
    ------
    UnknownName, InvalidData : there is no such program; a grid of too many cells, with the half-width that fits.
    """
    game: AggregativeMarkovGame = result.game.merged()
    kind, *rest = which or ("confidence", 0, int(np.argmax(game.initial)))
    if kind not in ("confidence", "stage") or len(rest) < 2 or len(rest) % 2:
        raise unknown("program", ":".join(map(str, which)), SELECTORS)
    h, s = BackwardAlgorithm.place(game, rest[0], rest[1])
    chosen = dict(zip(rest[2::2], rest[3::2], strict=True))
    strange = set(chosen) - ({"player", "cell", "side"} if kind == "confidence" else {"cell"})
    if strange:
        raise unknown("program", ":".join(map(str, which)), SELECTORS)
    actions, state = result.policy.actions, result.state
    upper, lower = algorithm.values_of(game, actions, state)
    place = algorithm.places(game, state)[h][s]
    x = aggregators_of(game, actions)[h, s]
    if kind == "stage":
        one = algorithm.stage_game(game, place, Classes.of(game, upper[h + 1]), upper[h + 1])
        family = algorithm.stage.family(one)
        return family[_cell(chosen.get("cell"), family.grid, x)]
    grid = algorithm.grids(game)[h]
    if grid.size > MOST_CELLS:
        raise InvalidData(
            f"the learning grid has {grid.size:,} cells at step {h}; a confidence program over all of them takes at most "
            f"{MOST_CELLS:,}",
            f"A half_width of {fitting_half_width(grid, MOST_CELLS):.3g} fits.",
        )
    i = whole_number("player", chosen.get("player", 0), 0)
    if i >= game.n_players:
        raise InvalidData(f"there is no player {i}; the game has {game.n_players}")
    side = chosen.get("side", "upper")
    if side not in ("upper", "lower"):
        raise unknown("side", side, ("upper", "lower"))
    values = (upper if side == "upper" else lower)[h + 1, i]
    number = _cell(chosen.get("cell"), grid, x)
    sense: Literal["max", "min"] = "max" if side == "upper" else "min"
    return expectation_program(algorithm, game, h, s, values, place, grid, number, sense, f"{game.player_label(i)}, {side} values")


def expectation_program(
    algorithm: Learning,
    game: AggregativeMarkovGame,
    h: int,
    s: int,
    values: FloatArray,
    place: Place,
    grid: Grid,
    cell: int,
    sense: Literal["max", "min"],
    about: str,
) -> Program:
    r"""How large (or small) :math:`q(x) = \sum_{s'} P(s' \mid s, x) V(s')` can be in a cell, for values V (S,) of the next step."""
    rule, seen = place.confidence, place.estimate
    gamma, owner = float(game.gamma_transition[h, s]), np.zeros(1, dtype=np.int64)
    high = rule.upper(values[None, :], seen, h, gamma, owner)
    low = rule.lower(values[None, :], seen, h, gamma, owner)
    one, other = np.full(grid.size, -low.most[0]), np.full(grid.size, high.most[0])
    one[seen.number] = np.maximum(one[seen.number], -low.worth[0])
    other[seen.number] = np.minimum(other[seen.number], high.worth[0])
    index = np.stack(np.unravel_index(np.arange(grid.size), tuple(grid.cells.tolist())), axis=1)
    places = grid.lower + (2 * index + 1) * grid.half_width
    width = grid.half_width[grid.cells > 1]
    even = not len(width) or float(width.max() - width.min()) <= 1e-12 * float(width.max())
    return confidence_program(
        places,
        one,
        other,
        float(high.slope[0]),
        cell,
        sense,
        sides=tuple(grid.cells.tolist()) if even else None,
        note=f"what comes after step {h}, {game.state_label(s)}: {about}, cell {cell} of {grid.size:,}",
    )


def _cell(given: Any, grid: Grid, x: FloatArray) -> int:
    if given is None:
        return cell_of(grid, x)
    number = whole_number("cell", given, 0)
    if number >= grid.size:
        raise InvalidData(f"there is no cell {number} in a grid of {grid.size:,} cells")
    return number
