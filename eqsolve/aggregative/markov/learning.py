"""What the learning algorithms share: optimistic plans from all episodes so far, each played for a block of episodes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from math import log
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.certificate import nash_gap
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.markov.confidence import BONUSES, Bonus, Confidence
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.grid_stages import best_cell, rounded
from eqsolve.aggregative.markov.profile import MarkovProfile
from eqsolve.aggregative.markov.reward_range import check_reward_range
from eqsolve.aggregative.markov.reward_samples import RewardEstimate, RewardSamples
from eqsolve.aggregative.markov.samples import Estimate, Samples, learning_grid
from eqsolve.aggregative.markov.simulator import Episodes, aggregators_of, play_profile
from eqsolve.aggregative.markov.stage import Classes, stage_game
from eqsolve.aggregative.nash import AggregativeNash
from eqsolve.aggregative.payoffs import Payoffs
from eqsolve.aggregative.sweep import NoFeasibleCell
from eqsolve.arrays import FloatArray, float_array, real_number, whole_number
from eqsolve.backends import Limits
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, NothingReached, Record, Result, Run, Status
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program

CELLS = 10
"""Cells of the learning grid along each coordinate when nothing is said."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A profile with bounds on what it is worth, from the episodes before it.

    Parameters
    ----------
    actions : (H, S, n). upper, lower : (n, S) optimistic and pessimistic values from the first step on.
    reply : (n, S) optimistic values of each player's best deviation, which solve the Bellman equation of his own decision process.
    delta, regret : the largest difference of ``upper``, and of ``reply``, to ``lower`` over players, from the initial distribution.
    slack : (H, S) the gap of the profile in each optimistic stage game. programs : stage programs solved.
    episodes : on how many episodes it rests.
    """

    actions: npt.NDArray[np.int32]
    upper: FloatArray
    lower: FloatArray
    reply: FloatArray
    delta: float
    regret: float
    slack: FloatArray
    programs: int
    episodes: int

    @property
    def eps(self) -> float:
        """What the stage equilibria may add to the gap: the sum over steps of the largest one."""
        return float(self.slack.max(axis=1).sum())

    @property
    def bound(self) -> float:
        """Delta + eps, or the optimistic gain of a deviation where that is less: both hold with probability 1 - p."""
        return min(self.delta + self.eps, max(self.regret, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Where a learner stands.

    Parameters
    ----------
    samples : all episodes so far. rewards : what was seen of the rewards, where they are not known.
    episodes : how many. best : the plan of least width so far. planned : on how many episodes the last plan rests, -1 before it.
    """

    samples: Samples
    rewards: RewardSamples | None = None
    episodes: int = 0
    best: Plan | None = None
    planned: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What a learner knows at a step and a state."""

    h: int
    s: int
    estimate: Estimate
    confidence: Confidence
    rewards: RewardEstimate | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StageTask:
    """One state of one step, as a piece of work that any process can do; the bounds (n, S) are of the next step."""

    algorithm: Learning
    game: AggregativeMarkovGame
    place: Place
    classes: Classes
    upper: FloatArray
    lower: FloatArray
    reply: FloatArray
    backend: str
    seed: tuple[int, ...]
    limits: Limits


@dataclass(frozen=True, slots=True, eq=False)
class StageAnswer:
    """The profile (n,) of a stage, bounds (n,) on what it is worth, its gap in the optimistic game, the programs solved."""

    actions: npt.NDArray[np.int32]
    upper: FloatArray
    lower: FloatArray
    reply: FloatArray
    gap: float
    programs: int


@dataclass(frozen=True, slots=True)
class Learning(Algorithm[AggregativeMarkovGame, Learned, MarkovProfile]):
    """The loop of Algorithms 3 and 4: plan optimistically, play the plan, count, and keep the plan of least width.

    A step of the run makes one plan and plays it for a block of episodes; ``history["episodes"]`` says on how many episodes each
    plan rests.
    """

    episodes: int = 1_000_000
    width: float | None = None
    p: float = 0.05
    cells: tuple[int, ...] | int | None = None
    half_width: float | None = None
    growth: float = 0.25
    bonus: Bonus = "l1"
    factor: float = 1.0
    reward_range: tuple[float, float] = (0.0, 1.0)
    tolerance: str | float = "opt"
    zeta: float = 0.0
    stage_cells: tuple[int, ...] | int | None = None
    stage_half_width: float | None = None
    rounding: Literal["best", "nearest"] = "best"

    experimental: ClassVar[bool] = False
    """Whether something about the algorithm is not proved; results say so."""

    def __post_init__(self) -> None:
        put = object.__setattr__
        if self.bonus not in BONUSES:
            raise unknown("bonus", self.bonus, BONUSES)
        put(self, "episodes", whole_number("episodes", self.episodes, 1))
        put(self, "p", real_number("p", self.p, above=0.0, below=1.0))
        put(self, "growth", real_number("growth", self.growth, above=0.0))
        put(self, "factor", real_number("factor", self.factor, above=0.0))
        if self.width is not None:
            put(self, "width", real_number("width", self.width, above=0.0))
        low, high = float_array("reward_range", self.reward_range, (2,)).tolist()
        if not low < high:
            raise InvalidData(f"reward_range is ({low:g}, {high:g})", "Give the least and the largest reward of one step.")
        put(self, "reward_range", (low, high))
        grid = AggregativeNash(cells=self.cells, half_width=self.half_width)  # for the checks of the two
        if self.cells is not None and self.half_width is not None:
            raise InvalidData("both cells and half_width are given", "Give one; the other follows.")
        put(self, "cells", CELLS if self.cells is None and self.half_width is None else grid.cells)
        put(self, "half_width", grid.half_width)
        put(self, "stage_cells", self.stage.cells)
        put(self, "stage_half_width", self.stage.half_width)

    @property
    def stage(self) -> AggregativeNash:
        """The Nash subroutine."""
        return AggregativeNash(self.tolerance, self.zeta, self.stage_cells, self.stage_half_width, self.rounding)

    def wanted(self, game: AggregativeMarkovGame) -> float:
        """The width at which the run ends: H/10 times the range of rewards unless one was given."""
        low, high = self.reward_range
        return game.horizon * (high - low) / 10 if self.width is None else self.width

    def grids(self, game: AggregativeMarkovGame) -> tuple[Grid, ...]:
        """The learning grid X_alpha of each step."""
        return _grids(game, self.cells, self.half_width)

    def confidence(self, game: AggregativeMarkovGame) -> Confidence:
        """The rule for the bonus."""
        low, high = self.reward_range
        return Confidence(self.bonus, self.factor, low, high, game.horizon, game.n_states, self.log_term(game))

    def log_term(self, game: AggregativeMarkovGame) -> float:
        """ln(H S |X| K / p)."""
        cells = sum(grid.size for grid in self.grids(game))
        return log(cells) + log(game.n_states) + log(self.episodes) - log(self.p)

    @abstractmethod
    def optimistic(self, game: AggregativeMarkovGame, place: Place, classes: Classes, upper: FloatArray) -> Payoffs:
        """Upper bounds on the action values of the classes' columns, for bounds (n, S) on the values of the next step."""

    @abstractmethod
    def pessimistic(
        self, game: AggregativeMarkovGame, place: Place, actions: npt.NDArray[np.int32], x: FloatArray, lower: FloatArray
    ) -> FloatArray:
        """Lower bounds (n,) on the action values of a profile (n,) that causes x, for bounds (n, S) on those of the next step."""

    @abstractmethod
    def learns_at(self, game: AggregativeMarkovGame, h: int) -> bool:
        """Whether the stage games of a step depend on the episodes."""

    def watched(
        self, game: AggregativeMarkovGame, state: Learned, plan: Plan, x: FloatArray, played: Episodes, rng: np.random.Generator
    ) -> RewardSamples | None:
        """What is known of the rewards after a block of episodes; nothing has to be where they are known anyway."""
        return state.rewards

    def init(self, game: AggregativeMarkovGame, run: Run) -> Learned:
        """Nothing seen."""
        if not game.lipschitz_is_computed:
            game.check_lipschitz()
        check_reward_range(game, *self.reward_range)
        floor, wanted = self.floor(game), self.wanted(game)
        if wanted < floor:
            raise InvalidData(
                f"width is {wanted:.4g}; with this learning grid, of half-width {self.grids(game)[0].b:.3g}, no number of episodes "
                f"brings it below {floor:.4g}",
                "Give a smaller half_width (or more cells), or a larger width.",
            )
        return Learned(Samples.none(game))

    def floor(self, game: AggregativeMarkovGame) -> float:
        r"""What the learning grid alone makes of the width: :math:`\sum_h 2 b \min_s \gamma_P(h, s) R (H-1-h)`."""
        if self.bonus == "span":
            return 0.0
        rule, grids = self.confidence(game), self.grids(game)
        steps = range(game.horizon - 1)
        return float(sum(2 * grids[h].b * game.gamma_transition[h].min() * rule.span * rule.left(h) for h in steps))

    def step(self, game: AggregativeMarkovGame, state: Learned, run: Run) -> tuple[Learned, Record]:
        """One plan from all episodes so far, and the next block of episodes with it."""
        merged = run.derived("merged", game.merged)
        return self.advance(merged, state, self.plan(merged, state, run), run)

    def advance(self, game: AggregativeMarkovGame, state: Learned, plan: Plan, run: Run) -> tuple[Learned, Record]:
        """Keep the plan if it is the best one, and play it."""
        best = plan if state.best is None or plan.delta < state.best.delta else state.best
        following = replace(state, best=best, planned=state.episodes)
        left = self.episodes - state.episodes
        block = 0 if best.delta <= self.wanted(game) else min(left, max(1, int(self.growth * state.episodes)))
        if block:
            x, rng = aggregators_of(game, plan.actions), run.rng()
            played = play_profile(game, plan.actions, block, rng)
            following = replace(
                following,
                samples=state.samples.with_episodes(self.grids(game), x, played),
                rewards=self.watched(game, state, plan, x, played, rng),
                episodes=state.episodes + block,
            )
        widest = int(np.argmax((plan.upper - plan.lower) @ game.initial))
        return following, {
            "episodes": state.episodes,
            "delta": plan.delta,
            "eps": plan.eps,
            "bound": plan.bound,
            "upper": float(plan.upper[widest] @ game.initial),
            "lower": float(plan.lower[widest] @ game.initial),
            "best": best.delta,
            "visited": len(state.samples),
            "programs": plan.programs,
        }

    def plan(self, game: AggregativeMarkovGame, state: Learned, run: Run) -> Plan:
        """The optimistic plan from everything seen so far."""
        return self.plan_from(game, self.places(game, state), state.episodes, run)

    def places(self, game: AggregativeMarkovGame, state: Learned) -> list[list[Place]]:
        """What is known at each step and state."""
        grids, rule = self.grids(game), self.confidence(game)

        def place(h: int, s: int) -> Place:
            rewards = None if state.rewards is None else state.rewards.estimate(grids[h], h, s)
            return Place(h, s, state.samples.estimate(grids[h], h, s), rule, rewards)

        return [[place(h, s) for s in range(game.n_states)] for h in range(game.horizon)]

    def plan_from(self, game: AggregativeMarkovGame, places: list[list[Place]], episodes: int, run: Run) -> Plan:
        """The optimistic plan from what is known at each step and state, backwards from the last step."""
        H, S, n = game.horizon, game.n_states, game.n_players
        upper, lower, reply = (np.zeros((n, S)) for _ in range(3))
        actions, slack, programs = np.empty((H, S, n), dtype=np.int32), np.empty((H, S)), 0
        for h in range(H - 1, -1, -1):
            classes, limits = Classes.of(game, upper), run.remaining()
            ahead = classes, upper, lower, reply, run.backend
            tasks = [StageTask(self, game, places[h][s], *ahead, (run.seed, run.iteration, 1, h, s), limits) for s in range(S)]
            if self.learns_at(game, h):
                found = run.map(solve_stage, tasks)
                programs += sum(one.programs for one in found)
            else:
                found = run.derived(f"step {h}", partial(run.map, solve_stage, tasks))
            actions[h] = np.stack([one.actions for one in found])
            slack[h] = [one.gap for one in found]
            upper, lower, reply = (np.stack([getattr(one, side) for one in found], axis=1) for side in ("upper", "lower", "reply"))
        delta, regret = (float(((high - lower) @ game.initial).max()) for high in (upper, reply))
        return Plan(actions, upper, lower, reply, delta, regret, slack, programs, episodes)

    def stage_game(self, game: AggregativeMarkovGame, place: Place, classes: Classes, upper: FloatArray) -> AggregativeGame:
        """The optimistic stage game of a place."""
        return stage_game(game, place.h, place.s, classes, self.optimistic(game, place, classes, upper))

    def values_at(
        self,
        game: AggregativeMarkovGame,
        place: Place,
        one: AggregativeGame,
        actions: npt.NDArray[np.int32],
        lower: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Bounds (n,), (n,) on what a profile (n,) is worth at a place, at the aggregator that it causes."""
        plays = np.bincount(game.column_of(actions), minlength=game.n_columns)
        x = np.einsum("c,cd->d", plays, game.contribution[place.h])
        column = one.offsets[one.player_types] + actions
        used, where = np.unique(column, return_inverse=True)
        high = one.payoff.at(used, np.broadcast_to(x, (len(used), len(x))))[where]
        return high, self.pessimistic(game, place, actions, x, lower)

    def reply_at(self, game: AggregativeMarkovGame, place: Place, actions: npt.NDArray[np.int32], reply: FloatArray) -> FloatArray:
        """Upper bounds (n,) on what each player's best action against a profile (n,) is worth, for such bounds (n, S) ahead."""
        classes = Classes.of(game, reply)
        first = np.cumsum(classes.n_actions) - classes.n_actions
        mine, n_actions = game.column_of(actions), game.n_actions[game.player_types]
        player = np.repeat(np.arange(game.n_players), n_actions)
        start = np.cumsum(n_actions) - n_actions
        action = np.arange(len(player)) - start[player]
        g = game.contribution[place.h]
        x = np.bincount(mine, minlength=game.n_columns) @ g
        caused = x + g[game.offsets[game.player_types[player]] + action] - g[mine[player]]
        worth = self.optimistic(game, place, classes, reply).at(first[classes.of_player[player]] + action, caused)
        return np.maximum.reduceat(worth, start)

    def values_of(
        self, game: AggregativeMarkovGame, actions: npt.NDArray[np.int32], state: Learned
    ) -> tuple[FloatArray, FloatArray]:
        """Bounds (H+1, n, S), twice, on the values of a profile from each step on, by all episodes of a state."""
        H, S, n = game.horizon, game.n_states, game.n_players
        upper, lower = np.zeros((H + 1, n, S)), np.zeros((H + 1, n, S))
        places = self.places(game, state)
        for h in range(H - 1, -1, -1):
            classes = Classes.of(game, upper[h + 1])
            for s in range(S):
                one = self.stage_game(game, places[h][s], classes, upper[h + 1])
                upper[h, :, s], lower[h, :, s] = self.values_at(game, places[h][s], one, actions[h, s], lower[h + 1])
        return upper, lower

    def done(self, game: AggregativeMarkovGame, state: Learned) -> Status | None:
        """Converged at the width asked for; out of budget when all episodes are played and planned with."""
        if state.best is not None and state.best.delta <= self.wanted(game):
            return Status.CONVERGED
        return Status.OUT_OF_ITERATIONS if state.planned >= self.episodes else None

    def finish(self, game: AggregativeMarkovGame, state: Learned, run: Run) -> MarkovProfile:
        """The plan of least width."""
        if state.best is None:
            raise NothingReached("the run ended before its first plan", "Give more time.")
        return MarkovProfile(state.best.actions)

    def bounds(self, game: AggregativeMarkovGame, state: Learned, policy: MarkovProfile) -> tuple[Bound, ...]:
        """What the learner knows of its own gap, without the model."""
        best = state.best
        assert best is not None
        sure, failed = f"with probability {1 - self.p:g}", self.unproved(game)
        found: tuple[tuple[str, str, float, dict[str, float]], ...] = (
            (f"learning, {sure}", "Lemma D.3", best.delta + best.eps, {"Delta": best.delta, "stage gaps": best.eps}),
            (f"optimistic deviation, {sure}", "confidence sets", max(best.regret, 0.0), {}),
        )
        if failed:
            return tuple(Bound(name, None, source, failed=failed) for name, source, _, _ in found)
        return tuple(Bound(name, value, source, terms) for name, source, value, terms in found)

    def unproved(self, game: AggregativeMarkovGame) -> tuple[str, ...]:
        """Why the learner's own bound is not proved, or nothing."""
        if self.bonus == "paper" and self.factor < 1.0:
            return (f"the paper does not state its constant c; c = {self.factor:g} < 1 is not known to be enough",)
        return ()

    def objection(self, result: Result[AggregativeMarkovGame, Learned, MarkovProfile]) -> str:
        """An exact gap above what the learner was sure of."""
        for bound in result.bounds:
            if bound.value is not None and result.gap.upper > bound.value * (1 + 1e-9) + 1e-12:
                return f"the exact gap {result.gap.upper:.4g} exceeds the learner's bound, an event of probability {self.p:g}"
        return ""

    def program(self, result: Result[AggregativeMarkovGame, Learned, MarkovProfile], *which: Any) -> Program:
        """``("confidence", h, s)`` bounds what comes after, ``("stage", h, s)`` is an optimistic stage program; see ``explain``."""
        from eqsolve.aggregative.markov.explain import program_of

        return program_of(self, result, *which)

    def result_class(self) -> type[Result[AggregativeMarkovGame, Learned, MarkovProfile]]:
        """LearnedEquilibrium."""
        from eqsolve.aggregative.markov.learned import LearnedEquilibrium

        return LearnedEquilibrium


def solve_stage(task: StageTask) -> StageAnswer:
    """The best stage program of the optimistic game of a place, rounded, with bounds on what its profile is worth.

    Raises
    ------
    OutOfTime : the budget ended. NoFeasibleCell : no cell is feasible; the message names step and state.
    """
    algorithm, game, place = task.algorithm, task.game, task.place
    one = algorithm.stage_game(game, place, task.classes, task.upper)
    stage = algorithm.stage
    try:
        found = best_cell(stage.family(one), stage, task.backend, task.limits)
    except NoFeasibleCell as trouble:
        raise NoFeasibleCell(f"step {place.h}, {game.state_label(place.s)}: {trouble.what}", trouble.remedy) from trouble
    p = found.outcome.x
    assert p is not None
    plays = rounded(one, p, stage, np.random.default_rng(task.seed))
    actions = one.profile(plays).astype(np.int32)
    upper, lower = algorithm.values_at(game, place, one, actions, task.lower)
    reply = algorithm.reply_at(game, place, actions, task.reply)
    return StageAnswer(actions, upper, lower, reply, nash_gap(one, plays).upper, found.counts.programs)


@lru_cache(maxsize=4)
def _grids(game: AggregativeMarkovGame, cells: tuple[int, ...] | int | None, half_width: float | None) -> tuple[Grid, ...]:
    return tuple(learning_grid(game, h, cells, half_width) for h in range(game.horizon))
