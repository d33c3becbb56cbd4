"""What the backward algorithms share: one stage game per state, step by step from the last."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.markov.bounds import PARTS
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.profile import MarkovProfile
from eqsolve.aggregative.markov.stage import Classes
from eqsolve.arrays import FloatArray, IntArray, whole_number
from eqsolve.backends import Limits
from eqsolve.driver import Algorithm, NothingReached, Record, Result, Run, Status
from eqsolve.errors import InvalidData

STAGE = ("objective", "upper", "gap", "tolerance", *PARTS, "half_width", "excess", "programs", "blocks")
"""The numbers that are kept of every stage; tolerance is the largest of all players, the parts are those of the vertex rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Backward:
    """The steps that are done, the last step first.

    Parameters
    ----------
    actions : (S, n) per step done. values : (n, S), welfare : (S,) of the profile from the earliest step done on.
    limit : (S,) no profile that the search ranges over has a larger welfare from there on.
    stages : (steps done, S, L) the numbers named in ``STAGE``. cells : (steps done, S, d) the index of the chosen cell.
    """

    actions: tuple[npt.NDArray[np.int32], ...]
    values: FloatArray
    welfare: FloatArray
    limit: FloatArray
    stages: FloatArray
    cells: IntArray

    def of(self, name: str) -> FloatArray:
        """A number of every stage, (H, S), the first step first."""
        return np.asarray(self.stages[::-1, :, STAGE.index(name)])


@dataclass(frozen=True, slots=True, eq=False)
class StageTask:
    """One state of one step, as a piece of work that any process can do."""

    algorithm: BackwardAlgorithm
    game: AggregativeMarkovGame
    h: int
    s: int
    classes: Classes
    values: FloatArray
    welfare: FloatArray
    backend: str
    seed: int
    limits: Limits


@dataclass(frozen=True, slots=True, eq=False)
class StageAnswer:
    """The profile (n,) of a stage, what it is worth to the players (n,) and to the planner, the numbers of the search."""

    actions: npt.NDArray[np.int32]
    values: FloatArray
    welfare: float
    numbers: tuple[float, ...]
    cell: IntArray


class BackwardAlgorithm(Algorithm[AggregativeMarkovGame, Backward, MarkovProfile]):
    """Backward induction over stage games; a step of the driver is a step of the game."""

    __slots__ = ()

    looks_ahead: ClassVar[bool]
    """Whether the stage games contain what the next step is worth."""

    @abstractmethod
    def answer(self, task: StageTask) -> StageAnswer:
        """The profile of one stage."""

    def limit(self, game: AggregativeMarkovGame, h: int, state: Backward, numbers: FloatArray) -> FloatArray:
        """(S,) no profile that the search ranges over earns more from step h on; infinite where nothing is proved."""
        return np.full(game.n_states, np.inf)

    def init(self, game: AggregativeMarkovGame, run: Run) -> Backward:
        """Nothing done."""
        if not game.lipschitz_is_computed:
            game.check_lipschitz()
        S, n = game.n_states, game.n_players
        empty = np.zeros((0, S, len(STAGE))), np.zeros((0, S, game.n_coordinates), dtype=np.int64)
        return Backward((), np.zeros((n, S)), np.zeros(S), np.zeros(S), *empty)

    def step(self, game: AggregativeMarkovGame, state: Backward, run: Run) -> tuple[Backward, Record]:
        """The stage games of the step before, all states."""
        h = game.horizon - 1 - len(state.actions)
        merged = run.derived("merged", game.merged)
        ahead = state.values if self.looks_ahead else np.zeros_like(state.values)
        classes, limits = Classes.of(merged, ahead), run.remaining()
        tasks = [
            StageTask(self, merged, h, s, classes, state.values, state.welfare, run.backend, run.seed, limits)
            for s in range(game.n_states)
        ]
        found = run.map(answered, tasks)
        numbers = np.array([one.numbers for one in found])
        following = Backward(
            actions=(*state.actions, np.stack([one.actions for one in found])),
            values=np.stack([one.values for one in found], axis=1),
            welfare=np.array([one.welfare for one in found]),
            limit=self.limit(merged, h, state, numbers),
            stages=np.concatenate((state.stages, numbers[None])),
            cells=np.concatenate((state.cells, np.stack([one.cell for one in found])[None])),
        )
        record = {"step": h, "classes": len(classes.kind), "programs": int(numbers[:, STAGE.index("programs")].sum())}
        record |= {"blocks": int(numbers[:, STAGE.index("blocks")].sum())}
        return following, record | {
            "stage_gap": float(numbers[:, STAGE.index("gap")].max()),
            "welfare": float(game.initial @ following.welfare),
        }

    def done(self, game: AggregativeMarkovGame, state: Backward) -> Status | None:
        """Converged at the first step of the game."""
        return Status.CONVERGED if len(state.actions) == game.horizon else None

    def finish(self, game: AggregativeMarkovGame, state: Backward, run: Run) -> MarkovProfile:
        """The profile of all steps."""
        done = len(state.actions)
        if done < game.horizon:
            raise NothingReached(
                f"the run ended with {done} of {game.horizon} steps done, from the last one backwards",
                "Give more time, or a checkpoint to resume from.",
            )
        return MarkovProfile(np.stack(state.actions[::-1]))

    def conclude(self, game: AggregativeMarkovGame, state: Backward) -> Backward:
        """Without the actions, which are in the policy."""
        return Backward((), state.values, state.welfare, state.limit, state.stages, state.cells)

    @staticmethod
    def place(game: AggregativeMarkovGame, h: Any, s: Any) -> tuple[int, int]:
        """A step and a state, given by number or name, as numbers."""
        step = whole_number("step", h, 0)
        state = game.states.index(s) if isinstance(s, str) and s in game.states else whole_number("state", s, 0)
        for name, one, many in (("step", step, game.horizon), ("state", state, game.n_states)):
            if one >= many:
                raise InvalidData(f"there is no {name} {one}; the game has {many}")
        return step, state

    def result_class(self) -> type[Result[AggregativeMarkovGame, Backward, MarkovProfile]]:
        """MarkovEquilibrium."""
        from eqsolve.aggregative.markov.result import MarkovEquilibrium

        return MarkovEquilibrium


def answered(task: StageTask) -> StageAnswer:
    """The task done by its algorithm."""
    return task.algorithm.answer(task)
