"""The local half-step: the shared policy of the local agents climbs the two-level surrogate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, real_number, whole_number
from eqsolve.errors import InvalidData
from eqsolve.mdp import simplex_update
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.solo import best_policy, solo_values
from eqsolve.mean_field.two_level import Facing, Valued

ENUMERABLE = 20_000
"""Deterministic shared policies that are tried one by one, at most."""
SHARE = 0.125
"""Of the tolerance of a step, the tolerance of each evaluation in it."""
HALVINGS = 12
FINEST = 1e-4
"""Of the tolerance of an evaluation, what it becomes once no move gains visibly."""
SHORTEST = 1e-9
"""Projected steps are given up when they become so much shorter than the first."""
CLIMBS = 200
COARSE = 1e-4
"""Accuracy, in units of the span of values, at which starts are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalStep:
    """A shared local policy and what it earns against a fixed policy of the global agent.

    Parameters
    ----------
    local_policy : (G, Z, A_l). valued : its value with its bracket.
    slack : the Frank-Wolfe gap, sum over rows of the largest advantage: 0 exactly where the policy is stationary among all shared
        stochastic ones. It is a slope, not a bound on what a far policy gains: the problem is not concave.
    evaluations : policies evaluated. climbs : moves that were accepted, 0 for an enumeration.
    """

    local_policy: FloatArray
    valued: Valued
    slack: float
    evaluations: int
    climbs: int


def solve_local(
    facing: Facing,
    start: npt.ArrayLike,
    *,
    values: FloatArray | None = None,
    tolerance: float = 1e-6,
    starts: int = 1,
    rng: np.random.Generator | None = None,
    tick: Callable[[], object] | None = None,
) -> LocalStep:
    """The best shared local policy that ascents from several starts reach.

    The given policy is always one of them. The others are the most valuable ``starts - 1`` of a list: uniform, every constant
    action, the best immediate reward, the optimum of an agent alone (with the mean moves of the global state), and ``starts``
    random deterministic policies where ``rng`` is given.

    Parameters
    ----------
    facing : the two-level surrogate with the policy of the global agent. start : (G, Z, A_l).
    values, tolerance : see ``ascend``. starts : ascents, at least 1. rng : for the random starts.
    tick : called before each evaluation.

    Raises
    ------
    InvalidData : a parameter out of range, or a policy of another game.
    """
    count, game = whole_number("starts", starts, 1), facing.surrogate.game
    best = ascend(facing, start, values=values, tolerance=tolerance, tick=tick)
    if count == 1:
        return best
    evaluations, span, others = best.evaluations, max(game.value_span, tolerance), []
    for one in local_starts(facing, rng, count):
        if not (one == start).all():
            others.append((facing.evaluate(one, tolerance=max(tolerance, COARSE * span), start=best.valued.values).value, one))
            evaluations += 1
    others.sort(key=lambda pair: -pair[0])
    for _, one in others[: count - 1]:
        found = ascend(facing, one, values=best.valued.values, tolerance=tolerance, tick=tick)
        evaluations += found.evaluations
        if found.valued.lower > best.valued.upper:
            best = found
    return replace(best, evaluations=evaluations)


def ascend(
    facing: Facing,
    start: npt.ArrayLike,
    *,
    values: FloatArray | None = None,
    tolerance: float = 1e-6,
    tick: Callable[[], object] | None = None,
) -> LocalStep:
    """Climb J[K, k] from a shared local policy by its exact gradient; every move is accepted only if the brackets prove a gain.

    First the moves of policy improvement: all rows to their best action, the best row alone, then part of the way (halved until
    it gains); they settle most rows at once. Where none gains, a projected gradient step in units of advantages per visit,
    shortened until it gains.

    Parameters
    ----------
    start : (G, Z, A_l). values : (G, N_K) to begin its evaluation with.
    tolerance : of the slack at which the climb ends, and eight times that of each value, in reward units.

    Returns
    -------
    LocalStep. Its slack is above the tolerance only where no move gains more than the brackets can tell, or after 200 moves.
    """
    bound, game = real_number("tolerance", tolerance, above=0.0), facing.surrogate.game
    policy = game.check_local(start)
    fine, pause = SHARE * bound, tick or _nothing
    pause()
    here = facing.evaluate(policy, tolerance=fine, start=values)
    evaluations, climbs, visits, last = 1, 0, None, 0.0
    while True:
        pause()
        visits = facing.occupancy(policy, tolerance=fine / max(1.0, float(np.ptp(here.values))), start=visits)
        advantage = _advantage(game, policy, facing.gradient(policy, here.values, visits))
        slack = float(advantage.max(axis=-1).sum())
        if slack <= bound or climbs == CLIMBS:
            break
        for moved, length in _moves(game, policy, advantage, facing.weights(visits), last):
            pause()
            there = facing.evaluate(moved, tolerance=fine, start=here.values, beaten=here.lower)
            evaluations += 1
            if there.lower > here.upper:
                policy, here, climbs, last = moved, there, climbs + 1, length
                break
        else:
            if fine <= FINEST * SHARE * bound:
                break
            # Near a stochastic optimum a slope of s gains s squared: it takes narrower brackets to see it.
            fine *= FINEST
            here = facing.evaluate(policy, tolerance=fine, start=here.values)
    return LocalStep(policy, here, slack, evaluations, climbs)


def enumerate_local(
    facing: Facing, *, tolerance: float = 1e-6, most: int = ENUMERABLE, tick: Callable[[], object] | None = None
) -> LocalStep:
    """The best deterministic shared policy, by trying them all; a stochastic one may earn more, and ``slack`` tells a slope to it.

    Raises
    ------
    InvalidData : there are more than ``most``.
    """
    bound, game = real_number("tolerance", tolerance, above=0.0), facing.surrogate.game
    number = n_deterministic(game)
    if number > whole_number("most", most, 1):
        raise InvalidData(f"there are {number:,} deterministic local policies", f"At most {most:,} are tried; use the ascent.")
    best: LocalStep | None = None
    pause = tick or _nothing
    for policy in deterministic_policies(game):
        pause()
        if best is None:
            best = LocalStep(policy, facing.evaluate(policy, tolerance=SHARE * bound), np.inf, number, 0)
            continue
        start, beaten = best.valued.values, best.valued.lower
        there = facing.evaluate(policy, tolerance=SHARE * bound, start=start, beaten=beaten)
        if there.lower > best.valued.upper:
            best = LocalStep(policy, there, np.inf, number, 0)
    assert best is not None
    gradient = facing.gradient(best.local_policy, best.valued.values, facing.occupancy(best.local_policy))
    slack = float(_advantage(game, best.local_policy, gradient).max(axis=-1).sum())
    return replace(best, slack=slack)


def n_deterministic(game: GlobalLocalGame) -> int:
    """How many deterministic shared local policies there are."""
    each: int = prod(game.local_available.sum(axis=1).tolist())
    return int(each**game.n_global_states)


def deterministic_policies(game: GlobalLocalGame) -> Iterator[FloatArray]:
    """All deterministic shared local policies (G, Z, A_l), in lexicographic order of their actions."""
    G, Z = game.n_global_states, game.n_local_states
    here = [np.flatnonzero(row).tolist() for row in game.local_available]
    for choice in product(*(here[z] for _ in range(G) for z in range(Z))):
        yield game.deterministic_local(np.reshape(choice, (G, Z)))


def local_starts(facing: Facing, rng: np.random.Generator | None = None, number: int = 0) -> list[FloatArray]:
    """Shared local policies to climb from, as ``solve_local`` tells, without repetitions."""
    game = facing.surrogate.game
    G, Z, A = game.n_global_states, game.n_local_states, game.n_local_actions
    here = game.local_available
    starts = [game.uniform_local()]
    for a in range(A):
        # Where the action is not available, the last one before it that is, or the first one at all.
        able = [int(max((b for b in np.flatnonzero(row) if b <= a), default=np.argmax(row))) for row in here]
        starts.append(game.deterministic_local(np.tile(able, (G, 1))))
    starts.append(best_policy(np.where(here, game.local_reward.transpose(1, 0, 2), -np.inf)))
    weight = facing.surrogate.initial()
    chain = np.einsum("gd,ghd->gh", weight, facing.moves) / np.maximum(weight.sum(axis=1), 1e-300)[:, None]
    chain = np.where(weight.sum(axis=1)[:, None] > 0, chain, facing.moves.mean(axis=2))
    starts.append(best_policy(solo_values(game, chain / chain.sum(axis=1, keepdims=True))))
    if rng is not None:
        starts += [best_policy(np.where(here, rng.random((G, Z, A)), -np.inf)) for _ in range(number)]
    return list({one.tobytes(): one for one in starts}.values())


def _nothing() -> None:
    pass


def _advantage(game: GlobalLocalGame, policy: FloatArray, gradient: FloatArray) -> FloatArray:
    """(G, Z, A_l) by how much each action beats its row's average, minus infinity where it is not available."""
    mean = (policy * gradient).sum(axis=-1, keepdims=True)
    return np.where(game.local_available, gradient - mean, -np.inf)


def _moves(
    game: GlobalLocalGame, policy: FloatArray, advantage: FloatArray, weights: FloatArray, last: float
) -> Iterator[tuple[FloatArray, float]]:
    """Policies to try from here, and the length of the projected step where it is one; ``last`` is that of the last move."""
    top = advantage.max(axis=-1)
    # A row that is hardly visited has a small gradient; per visit it is an action value.
    slopes = np.where(game.local_available, advantage, 0.0) / np.maximum(weights, 1e-12 * weights.max())[..., None]
    longest = 2.0 * game.n_local_actions / max(float(np.abs(slopes).max()), 1e-300)
    reference = game.uniform_local()
    ratio = np.divide(policy, reference, out=np.zeros_like(policy), where=reference > 0.0)

    def projected(length: float) -> tuple[FloatArray, float]:
        return simplex_update(slopes, reference, ratio, eta=length).policy, length

    if last:
        yield from (projected(min(longest, 4.0 * last)), projected(min(longest, last)))
    target = np.where((top > 0.0)[..., None], best_policy(advantage), policy)
    yield target, 0.0
    row = np.unravel_index(int(np.argmax(top)), top.shape)
    alone = policy.copy()
    alone[row] = target[row]
    yield alone, 0.0
    for halving in range(1, HALVINGS + 1):
        share = 0.5**halving
        yield (1.0 - share) * policy + share * target, 0.0
    length = longest
    while length > SHORTEST * longest:
        yield projected(length)
        length /= 4.0
