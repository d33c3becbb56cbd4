"""One local agent of the k-surrogate who leaves the policy that the others keep to: bounds of what the team gains by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product as every
from math import prod
from typing import NamedTuple

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.certificates.rounding import gamma
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.judge.bracket import Bracket, Interval, enclose, mean, product, row_sums
from eqsolve.mean_field.judge.operator import SymmetricPower, for_each, symmetric_power
from eqsolve.mean_field.judge.surrogate import Surrogate
from eqsolve.mean_field.policy import SubsampledPolicy

HELD = 20_000_000
"""Values of the process of one agent and the others' histogram, at most."""
WORK = 200_000_000
"""Expectations that may be taken for one enclosure of its values, at most; one sweep is made in any case."""
SEARCH = 100_000_000
"""Expectations that may be taken in search of a deviation."""
TABLES = 300
"""Deviations that play one action per pair of states up to which all are tried."""


class Deviation(NamedTuple):
    """A table (G, Z) of actions for one agent, and bounds of the value that it brings."""

    table: IntArray
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, eq=False)
class TaggedAgent:
    """The process of one agent who sees s_g, its own state u and the histogram h of the k - 1 others. Values are (N_(k-1), G, Z).

    Parameters
    ----------
    others : (G,) expectations over the moves of the others. together : (Z, N_(k-1)) the places of the histograms h + e_u.
    switching : (N_k, G, G) where the global agent goes. stage : (N_k, G) its expected reward. law : of the first state.
    """

    surrogate: Surrogate
    policy: SubsampledPolicy
    others: tuple[SymmetricPower, ...]
    together: IntArray
    switching: FloatArray
    stage: FloatArray
    law: FloatArray
    shift: Interval

    @property
    def cost(self) -> int:
        """Expectations of one sweep."""
        return int(self.law.size * self.law.shape[1])

    @property
    def can_search(self) -> bool:
        """Whether deviations can be tried within ``SEARCH``."""
        return SEARCH // self.cost >= 10

    def sweeps(self, work: int) -> int:
        """How many sweeps so much work is, at least one."""
        return max(1, min(500, work // self.cost))

    def from_team(self, v: FloatArray) -> FloatArray:
        """(N_(k-1), G, Z) team values (N_k, G) as those of the agent who does not deviate."""
        return np.ascontiguousarray(v[self.together].transpose(1, 2, 0))

    def action_values(self, w: FloatArray, g: int) -> FloatArray:
        """(N_(k-1), Z, A_l) of one global state."""
        game, k = self.surrogate.game, self.surrogate.k
        G, Z = game.n_global_states, game.n_local_states
        expected = self.others[g].apply(w.reshape(len(w), G * Z)).reshape(w.shape)
        payoff = np.einsum("za,za->z", self.policy.local_policy[g], game.local_reward[:, g])
        table = Histograms(k - 1, Z).table
        q = np.empty((len(w), Z, game.n_local_actions))
        for u in range(Z):
            place = self.together[u]
            own = np.einsum("mh,mhs->ms", self.switching[place, g], expected)
            rest = np.einsum("mz,z->m", table, payoff)[:, None]
            q[:, u] = self.stage[place, g, None] + (rest + game.local_reward[u, g]) / k
            q[:, u] += game.gamma * np.einsum("ms,as->ma", own, game.local_kernel[u, g])
        return q

    def best(self, w: FloatArray) -> tuple[FloatArray, float]:
        """The optimality operator: the agent knows everything."""
        here = self.surrogate.game.local_available
        return self._image(w, lambda g, q: np.where(here, q, -np.inf).max(axis=2))

    def enclosed(self, table: IntArray, start: FloatArray, tolerance: float, sweeps: int) -> Bracket:
        """Bounds of the values of a deviation that plays table[g, u]."""

        def chosen(g: int, q: FloatArray) -> FloatArray:
            return np.take_along_axis(q, np.broadcast_to(table[g][None, :, None], (*q.shape[:2], 1)), axis=2)[..., 0]

        return enclose(lambda w: self._image(w, chosen), start, self.shift, tolerance, sweeps)

    def _image(self, w: FloatArray, choose: Callable[[int, FloatArray], FloatArray]) -> tuple[FloatArray, float]:
        out = np.empty_like(w)
        chosen = for_each(w.shape[1], lambda g: choose(g, self.action_values(w, g)), w.size)
        for g, values in enumerate(chosen):
            out[:, g] = values
        game = self.surrogate.game
        rewards = float(np.abs(game.global_reward).max() + np.abs(game.local_reward).max())
        relative = max(one.error for one in self.others) + float(gamma(self.surrogate.k * (game.n_local_actions + 2)))
        count = 2 * game.n_global_states + 2 * game.n_local_states + game.n_local_actions + game.n_global_actions + 20
        most = float(np.abs(w).max())
        return out, 1.01 * (float(gamma(count)) * (rewards + most * (1.0 + relative)) + game.gamma * relative * most)


def tagged_agent(surrogate: Surrogate, policy: SubsampledPolicy) -> TaggedAgent | None:
    """The process of one agent, or None where it has more values than ``HELD``."""
    game, k = surrogate.game, surrogate.k
    G, Z = game.n_global_states, game.n_local_states
    if size(k - 1, Z) * G * Z > HELD or size(k, Z) * G * G > HELD:
        return None
    others = Histograms(k - 1, Z)
    together = np.stack([others.joined(u) for u in range(Z)])
    rows = policy.global_rows(game.n_global_actions)
    switching = np.einsum("gna,gah->ngh", rows, game.global_kernel)
    stage = np.ascontiguousarray(np.einsum("gna,ga->ng", rows, game.global_reward))
    mine = (others.table.T + 1.0) / k
    law = np.ascontiguousarray((surrogate.law[together] * mine[:, :, None]).transpose(1, 2, 0))
    moves = tuple(symmetric_power(one, k - 1) for one in game.local_rows(policy.local_policy))
    low, high = row_sums(policy.local_policy)
    sums = product(row_sums(game.local_kernel), (min(low, 1.0), max(high, 1.0)))
    there = product(row_sums(game.global_kernel), row_sums(rows))
    shift = product(product((game.gamma, game.gamma), there), sums, k)
    return TaggedAgent(surrogate, policy, moves, together, switching, stage, law, shift)


def best_deviation(agent: TaggedAgent, value: Bracket, tolerance: float) -> Deviation | None:
    """The table of actions that is found to be best for the agent from the first states; None where none gains to first order.

    Where there are few tables, all are tried. Otherwise the cells that gain to first order are changed, all at once, and one after
    the other as long as the value rises.
    """
    game = agent.surrogate.game
    start, sweeps = agent.from_team(value.middle), SEARCH // agent.cost
    shape = (game.n_global_states, game.n_local_states)
    cells = [np.flatnonzero(here) for here in game.local_available] * shape[0]
    number = prod(len(one) for one in cells)

    def tried(table: IntArray) -> Deviation:
        nonlocal sweeps
        found = agent.enclosed(table, start, tolerance, max(1, min(200, sweeps)))
        sweeps -= found.sweeps
        return Deviation(table, *mean(agent.law, found))

    if number <= TABLES and number * 40 <= sweeps:
        return max((tried(np.array(one).reshape(shape)) for one in every(*cells)), key=lambda one: one.lower)
    gains = _first_order(agent, value)
    top, action = gains.max(axis=2), gains.argmax(axis=2)
    least = tolerance / (1.0 - game.gamma)
    if not (top > least).any():
        return None
    kept = agent.policy.local_policy.argmax(axis=2)
    best = tried(np.where(top > least, action, kept))
    here, reached = kept, -np.inf
    for cell in np.argsort(-top, axis=None, kind="stable")[: np.count_nonzero(top > least)]:
        if sweeps <= 0:
            break
        changed = here.copy()
        changed.flat[cell] = action.flat[cell]
        found = tried(changed)
        if found.lower > reached:
            here, reached = changed, found.lower
        if found.lower > best.lower:
            best = found
    return best


def _first_order(agent: TaggedAgent, value: Bracket) -> FloatArray:
    """(G, Z, A_l) what playing an action in one pair of states gains to first order; minus infinity where it is not available."""
    surrogate = agent.surrogate
    game, w = surrogate.game, agent.from_team(value.middle)
    visits = surrogate.occupancy(agent.policy, 60)
    mine = (Histograms(surrogate.k - 1, game.n_local_states).table.T + 1.0) / surrogate.k
    weights = visits[agent.together] * mine[:, :, None]
    gains = np.empty((game.n_global_states, game.n_local_states, game.n_local_actions))
    for g in range(len(gains)):
        q = agent.action_values(w, g)
        gains[g] = np.einsum("zm,mza->za", weights[:, :, g], q - w[:, g, :, None])
    return np.where(game.local_available, gains, -np.inf)
