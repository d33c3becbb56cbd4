"""The best joint action of every state where rewards and transitions are sums of factors, and bounds of the best values.

The judge's own elimination: it maximises where the methods sum, and no method uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.bayesian_network.factors import LARGEST, Factor, spread
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.certificates.rounding import UNIT, gamma
from eqsolve.errors import InvalidGame
from eqsolve.mdp.certificate import sweeps
from eqsolve.mdp.enclosure import Interval

ROUNDS = 100
"""Improvements after which the optimal values are bounded from wherever the iteration stands."""


def max_sum(factors: Sequence[Factor], n_states: int, n_actions: Sequence[int]) -> tuple[FloatArray, IntArray]:
    r"""The largest sum of factors over all joint actions, in every state, and a joint action that attains it.

    .. math:: \max_a \sum_k f_k(s, a^{C_k})

    Agents are maximised out one by one, the one with the smallest table first.

    Parameters
    ----------
    factors : tables (S, m_agents...).

    Returns
    -------
    (S,) the maxima and (S, N) actions; an agent in no factor plays its first.

    Raises
    ------
    InvalidGame : a table larger than memory allows; its size is told, and what to do instead.

    Examples
    --------
    >>> import numpy as np
    >>> f = Factor((0, 1), np.array([[[0.0, 2.0], [1.0, 0.0]]]))
    >>> g = Factor((1,), np.array([[5.0, 0.0]]))
    >>> max_sum([f, g], 1, [2, 2])
    (array([6.]), array([[1, 0]]))
    """
    plan = elimination([one.agents for one in factors], n_actions)
    _check_size(plan, n_actions, n_states)
    total, actions = np.zeros(n_states), np.zeros((n_states, len(n_actions)), dtype=np.int64)
    pool = [(one.agents, one.table) for one in factors]
    choices: list[tuple[int, tuple[int, ...], IntArray]] = []
    for clique in plan:
        j, others = clique[-1], clique[:-1]
        table = np.zeros((n_states, *(n_actions[i] for i in clique)))
        for agents, part in pool:
            if j in agents:
                table += spread(part, agents, clique)
        pool = [(agents, part) for agents, part in pool if j not in agents]
        pool.append((others, table.max(axis=-1)))
        choices.append((j, others, table.argmax(axis=-1)))
    for _, part in pool:
        total += part
    states = np.arange(n_states)
    for j, others, choice in reversed(choices):
        actions[:, j] = choice[(states, *(actions[:, i] for i in others))]
    return total, actions


def elimination(scopes: Sequence[tuple[int, ...]], n_actions: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The tables of an elimination of the agents in ``scopes``: each one's agents in ascending order, who is eliminated last."""
    joined: dict[int, set[int]] = {}
    for scope in scopes:
        for i in scope:
            joined.setdefault(i, set()).update(scope)
    found = []
    while joined:
        j = min(joined, key=lambda i: (prod(n_actions[k] for k in joined[i]), i))
        others = tuple(sorted(joined.pop(j) - {j}))
        found.append((*others, j))
        for i in others:
            joined[i].update(others)
            joined[i].discard(j)
    return tuple(found)


def largest_table(game: CooperativeMarkovGame) -> int:
    """The numbers that ``max_sum`` holds in one table for a game of factors."""
    plan = elimination([one.agents for one in (*game.reward, *game.moves)], game.n_actions)
    return game.n_states * max((prod(game.n_actions[i] for i in clique) for clique in plan), default=1)


def improved(game: CooperativeMarkovGame, values: FloatArray) -> tuple[FloatArray, IntArray]:
    r"""(S,) the best :math:`r(s, a) + \gamma \sum_{s'} P(s' \mid s, a) v(s')` of a game of factors, and (S, N) who plays what."""
    return max_sum(_terms(game, values), game.n_states, game.n_actions)


def optimal_values(game: CooperativeMarkovGame) -> Interval:
    r"""Bounds of the optimal values of a game whose rewards and transitions are factors, rounding included.

    Policy iteration, greedy by ``max_sum``, finds a vector v; single sweeps T v prove the bounds, whatever v is:
    :math:`v^* \le Tv + \gamma \max(Tv - v) / (1 - \gamma)` and its mirror image.

    Returns
    -------
    (S,) and (S,), in reward units.

    Raises
    ------
    InvalidGame : see ``max_sum``. InvalidMDP : rows above 1 that bring gamma to 1.
    """
    S, v = game.n_states, np.zeros(game.n_states)
    error = float(gamma(len(game.reward) + len(game.moves) + S + 10))
    largest = sum(float(np.abs(one.table).max()) for one in game.reward)
    low, high = _masses(game)

    def image(v: FloatArray) -> Interval:
        best = improved(game, v)[0]
        slack = error * (largest + 2.0 * game.gamma * float(np.abs(v).max()))
        return best - slack, best + slack

    before: IntArray | None = None
    for _ in range(ROUNDS):
        best, actions = improved(game, v)
        settled = before is not None and bool((actions == before).all())
        if settled or float((best - v).max()) <= 4.0 * error * (largest + float(np.abs(v).max())):
            break
        before, v = actions, _value_of(game, actions)
    return sweeps(image, (game.gamma * low, game.gamma * high), v)


def _terms(game: CooperativeMarkovGame, values: FloatArray) -> list[Factor]:
    """Rewards and discounted values of the next state."""
    if game.gamma == 0.0:
        return list(game.reward)
    return [*game.reward, *(Factor(one.agents, game.gamma * (one.table @ values)) for one in game.moves)]


def _value_of(game: CooperativeMarkovGame, actions: IntArray) -> FloatArray:
    """(S,) the values of the policy that plays joint actions (S, N)."""
    S = game.n_states
    states = np.arange(S)
    reward, chain = np.zeros(S), np.zeros((S, S))
    for one in game.reward:
        reward += one.table[(states, *(actions[:, i] for i in one.agents))]
    for one in game.moves:
        chain += one.table[(states, *(actions[:, i] for i in one.agents))]
    return np.asarray(np.linalg.solve(np.eye(S) - game.gamma * chain, reward))


def _masses(game: CooperativeMarkovGame) -> tuple[float, float]:
    """The least and the largest sum of the transition probabilities of a state and joint action, rounded outward."""
    S = game.n_states
    sums = [one.table.sum(axis=-1).reshape(S, -1) for one in game.moves]
    slack = float(gamma(S + len(sums) + 2)) + 4 * UNIT
    low, high = (sum(part(one, axis=1) for one in sums) for part in (np.min, np.max))
    return float(np.min(low)) * (1.0 - slack), float(np.max(high)) * (1.0 + slack)


def _check_size(plan: tuple[tuple[int, ...], ...], n_actions: Sequence[int], n_states: int) -> None:
    widest = max(plan, key=lambda clique: prod(n_actions[i] for i in clique), default=())
    numbers = n_states * prod(n_actions[i] for i in widest)
    if numbers > LARGEST:
        raise InvalidGame(
            f"maximising the agents out one by one leads to a table over {len(widest)} of them: {numbers:,} numbers",
            f"At most {LARGEST:,} are held. Give rewards and transitions as factors over fewer agents.",
        )
