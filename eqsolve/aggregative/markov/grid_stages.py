"""Stage games solved by the Nash subroutine on a grid of aggregators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from eqsolve.aggregative import bounds as stage_bounds
from eqsolve.aggregative.certificate import nash_gap
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.markov.backward import STAGE, Backward, BackwardAlgorithm, StageAnswer, StageTask
from eqsolve.aggregative.markov.bounds import (
    PARTS,
    VARIANTS,
    VERTEX,
    Rounding,
    reward_range,
    theorem_3_1,
    theorem_4_1,
    theorem_4_2,
    vertex_rounding,
)
from eqsolve.aggregative.markov.continued import ContinuedFamily
from eqsolve.aggregative.markov.evaluation import continuation, stage_values
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.profile import MarkovProfile
from eqsolve.aggregative.markov.stage import Classes, stage_game
from eqsolve.aggregative.nash import AggregativeNash
from eqsolve.aggregative.programs import StageFamily
from eqsolve.aggregative.rounding import round_best, round_nearest, sample_profile, support_excess
from eqsolve.aggregative.sweep import NoFeasibleCell, SweepResult
from eqsolve.aggregative.tolerance import Tolerance
from eqsolve.arrays import FloatArray, IntArray, whole_number
from eqsolve.backends import Limits
from eqsolve.certificates import Bound
from eqsolve.driver import OutOfTime, Result
from eqsolve.driver.algorithm import selected
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program

ROUNDING = 1e-12
"""What rounding can make of a gap, relative to what a player can earn."""


@dataclass(frozen=True, slots=True)
class GridStages(BackwardAlgorithm):
    """A backward algorithm whose stage games are solved by the Nash subroutine, with the subroutine's parameters.

    Parameters
    ----------
    tolerance, zeta, cells, half_width, rounding, split : see ``AggregativeNash``; a tolerance that is a number is in units of
        reward, the same at every stage.
    variant : ``"corrected"``, or ``"paper"``: the printed tolerance, and profiles sampled from the backend's own point.
    """

    tolerance: str | float = "opt"
    zeta: float = 0.0
    cells: tuple[int, ...] | int | None = None
    half_width: float | None = None
    rounding: Literal["best", "nearest"] = "best"
    variant: Literal["corrected", "paper"] = "corrected"
    split: Literal["all", "widest"] = "all"

    def __post_init__(self) -> None:
        stage = self.stage
        object.__setattr__(self, "half_width", stage.half_width)
        object.__setattr__(self, "cells", stage.cells)

    @property
    def stage(self) -> AggregativeNash:
        """The Nash subroutine."""
        return AggregativeNash(self.tolerance, self.zeta, self.cells, self.half_width, self.rounding, self.variant, self.split)

    def answer(self, task: StageTask) -> StageAnswer:
        """The best stage program of a state, rounded."""
        return solve_stage(self, task)

    def family(
        self, game: AggregativeMarkovGame, h: int, s: int, values: FloatArray, welfare: FloatArray, classes: Classes | None = None
    ) -> ContinuedFamily:
        """The stage programs of a step and a state, for values (n, S) and welfare (S,) of the next step."""
        ahead, rest = (values, welfare) if self.looks_ahead else (np.zeros_like(values), np.zeros_like(welfare))
        one = stage_game(game, h, s, classes or Classes.of(game, ahead))
        found = self.stage.family(one)
        return ContinuedFamily(one, found.grid, found.tolerance, game.transition, h, s, rest)

    def limit(self, game: AggregativeMarkovGame, h: int, state: Backward, numbers: FloatArray) -> FloatArray:
        r"""(S,) U_h: no profile that plays, in every stage game, one of the equilibria searched over earns more.

        .. math:: U_h(s) = L_h(s) + \max_{s'} (U_{h+1} - W_{h+1})(s') + \gamma_P(h, s)\, b\, (\max U_{h+1} - \min U_{h+1})

        L is the bound of the search, which ranks cells by W at their centres.
        """
        U, W = state.limit, state.welfare
        if not self.looks_ahead:
            return np.full(len(U), np.inf)
        moved = game.gamma_transition[h] * numbers[:, STAGE.index("half_width")] * float(U.max() - U.min())
        return np.asarray(numbers[:, STAGE.index("upper")] + float((U - W).max()) + moved)

    def bounds(self, game: AggregativeMarkovGame, state: Backward, policy: MarkovProfile) -> tuple[Bound, ...]:
        """Vertex rounding, and the paper's theorem, corrected and as printed."""
        stage = self.stage
        rounding: Rounding = "sampled" if stage.variant == "paper" else stage.rounding
        theorem = theorem_4_1 if self.looks_ahead else theorem_3_1
        b, eta = state.of("half_width"), state.of("tolerance")
        found = [theorem(game, b, eta, rounding=rounding, variant=variant) for variant in VARIANTS]
        if stage.variant == "corrected":
            found.insert(0, vertex_rounding(game, {name: state.of(name) for name in PARTS}, state.of("excess")))
        if self.looks_ahead:
            tolerance = Tolerance.of("paper" if stage.variant == "paper" else stage.tolerance, stage.zeta)
            found.append(theorem_4_2(game, b, tolerance, rounding=rounding))
        return tuple(found)

    def objection(self, result: Result[AggregativeMarkovGame, Backward, MarkovProfile]) -> str:
        """A gap above what is proved."""
        room = ROUNDING * (1.0 + reward_range(result.game).size)
        proved = [bound.value for bound in result.bounds if bound.name == VERTEX and bound.value is not None]
        if any(result.gap.upper > value + room for value in proved):
            return "the exact gap exceeds its bound: a Lipschitz constant is too small"
        return ""

    def program(self, result: Result[AggregativeMarkovGame, Backward, MarkovProfile], *which: Any) -> Program:
        """``("stage", h, s)`` is the chosen program of a step and a state, ``("stage", h, s, "cell", number)`` another cell's.

        Without arguments: the first step, the likeliest first state.
        """
        game = result.game.merged()
        kind, *rest = which or ("stage", 0, int(np.argmax(game.initial)))
        if kind != "stage" or len(rest) not in (2, 4) or (len(rest) == 4 and rest[2] != "cell"):
            raise unknown("program", ":".join(map(str, which)), ("stage:STEP:STATE", "stage:STEP:STATE:cell:NUMBER"))
        h, s = self.place(game, rest[0], rest[1])
        family = self.family(game, h, s, *continuation(game, result.policy.actions, h))
        if len(rest) == 2:
            number = family.grid.number(result.state.cells[game.horizon - 1 - h, s])
        else:
            number = whole_number("cell", rest[3], 0)
            if number >= family.size:
                raise InvalidData(f"there is no cell {number} in a grid of {family.size:,} cells")
        return family[number]

    def select(
        self,
        game: AggregativeMarkovGame,
        selector: str,
        solved: Callable[[], Result[AggregativeMarkovGame, Backward, MarkovProfile]],
    ) -> Program:
        """``stage:3:2`` is the program of step 3 and state 2; ``stage:3:2:cell:17`` another cell's; the first one by default."""
        return self.program(solved(), *selected(selector))


def solve_stage(algorithm: GridStages, task: StageTask) -> StageAnswer:
    """The best stage program of a state, rounded, and evaluated at the aggregator that the profile causes.

    Raises
    ------
    OutOfTime : the budget ended. NoFeasibleCell : no cell is feasible; the message names step and state.
    """
    game, h, s = task.game, task.h, task.s
    stage = algorithm.stage
    family = algorithm.family(game, h, s, task.values, task.welfare, task.classes)
    try:
        found = best_cell(family, stage, task.backend, task.limits)
    except NoFeasibleCell as trouble:
        raise NoFeasibleCell(f"step {h}, {game.state_label(s)}: {trouble.what}", trouble.remedy) from trouble
    one, p = family.game, found.outcome.x
    assert p is not None
    plays = rounded(one, p, stage, np.random.default_rng([task.seed, h, s]))
    actions = one.profile(plays).astype(np.int32)
    values, welfare, _ = stage_values(game, h, s, actions, task.values, task.welfare)
    promised = stage_bounds.vertex_rounding(one, family.grid, found.box, support_excess(one, p))
    drift = 0.0 if algorithm.looks_ahead else one.delta * game.gamma_transition[h, s] * float(np.ptp(task.values, axis=1).max())
    assert found.outcome.objective is not None
    numbers = {
        "objective": found.outcome.objective,
        "upper": found.bound,
        "gap": nash_gap(one, plays).upper,
        "tolerance": float(found.box.eta.max()),
        **{name: promised.terms.get(name, 0.0) for name in PARTS},
        "drift": drift,
        "half_width": family.grid.b,
        "excess": support_excess(one, p),
        "programs": found.counts.programs,
        "blocks": found.counts.blocks,
    }
    cell = np.asarray(family.grid.index(found.cell))
    return StageAnswer(actions, values, welfare, tuple(float(numbers[name]) for name in STAGE), cell)


def best_cell(family: StageFamily, stage: AggregativeNash, backend: str, limits: Limits) -> SweepResult:
    """The best stage program of a family, by the search of the Nash subroutine.

    Raises
    ------
    OutOfTime : the budget ended. NoFeasibleCell : no cell is feasible.
    """
    search = stage.search_over(family, rescue=backend == "auto")
    with search.open(backend) as session:
        ended = search.run(session, limits)
    if ended != "complete":
        raise KeyboardInterrupt if ended == "interrupt" else OutOfTime
    return search.result()


def rounded(game: AggregativeGame, p: FloatArray, stage: AggregativeNash, rng: np.random.Generator) -> IntArray:
    """Players per column (N,) of a point of a stage program, rounded as the Nash subroutine says."""
    how: Literal["paper", "best", "nearest"] = "paper" if stage.variant == "paper" else stage.rounding
    if how == "paper":
        return sample_profile(game, p, rng)
    return round_best(game, p)[0] if how == "best" else round_nearest(game, p)
