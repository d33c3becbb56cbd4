"""Values of the k-surrogate, enclosed: of a policy of the global agent and of the best one, the local policy being kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray, float_array
from eqsolve.certificates.rounding import gamma
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, affordable
from eqsolve.mean_field.judge.bracket import Bracket, Interval, enclose, product, row_sums
from eqsolve.mean_field.judge.operator import SymmetricPower, for_each, symmetric_power
from eqsolve.mean_field.policy import SubsampledPolicy


@dataclass(frozen=True, slots=True, eq=False)
class Surrogate:
    """The system of k local agents, all seen, who keep to a local policy. Tables of values are (N, G) here: histograms first.

    Parameters
    ----------
    local_mean : (N, G) the mean local reward. operators : (G,) expectations over the moves of k agents. law : (N, G) first states.
    shift : bounds of the discounted sums of rows of the whole kernel.
    """

    game: GlobalLocalGame
    k: int
    local_mean: FloatArray
    operators: tuple[SymmetricPower, ...]
    law: FloatArray
    shift: Interval

    def start(self, hint: FloatArray | None) -> FloatArray:
        """(N, G) the hint (G, N), or the values if mean rewards stayed as they are."""
        if hint is not None:
            return np.array(float_array("hint", hint, self.local_mean.shape[::-1]).T, order="C")
        best = np.where(self.game.global_available, self.game.global_reward, -np.inf).max(axis=1)
        return np.asarray((self.local_mean.mean() + best.mean()) / (1.0 - self.game.gamma) + self.local_mean)

    def action_values(self, v: FloatArray, g: int) -> tuple[FloatArray, float]:
        """(N, A_g) of one global state, minus infinity for actions that it does not have, and the error of each at most."""
        game = self.game
        following = self.operators[g].apply(v)
        q = game.global_reward[g] + self.local_mean[:, g, None]
        q = q + game.gamma * np.einsum("nh,ah->na", following, game.global_kernel[g])
        error = self._error(float(np.abs(v).max()), self.operators[g].error)
        return np.where(game.global_available[g], q, -np.inf), error

    def best(self, v: FloatArray) -> tuple[FloatArray, float]:
        """The optimality operator."""
        out, error = np.empty_like(v), 0.0
        for g, (q, one) in enumerate(self._all_values(v)):
            out[:, g], error = q.max(axis=1), max(error, one)
        return out, error

    def under(self, policy: SubsampledPolicy, v: FloatArray) -> tuple[FloatArray, float]:
        """The operator of a policy."""
        out, error = np.empty_like(v), 0.0
        for g, (q, one) in enumerate(self._all_values(v)):
            rows = policy.global_policy[g]
            if policy.is_deterministic:
                out[:, g] = np.take_along_axis(q, rows.astype(np.int64)[:, None], axis=1)[:, 0]
            else:
                out[:, g] = np.einsum("na,na->n", rows, np.where(rows > 0, q, 0.0))
            error = max(error, one)
        return out, error + (0.0 if policy.is_deterministic else self._mixing(policy, float(np.abs(v).max())))

    def occupancy(self, policy: SubsampledPolicy, steps: int) -> FloatArray:
        """(N, G) discounted visits under a policy in so many steps, without a bound of their error; a guide for searches."""
        game, here = self.game, self.law.copy()
        rows = policy.global_rows(game.n_global_actions)
        total = here.copy()
        for _ in range(steps):
            after = np.zeros_like(here)
            for g in range(here.shape[1]):
                onto = np.einsum("n,na,ah->nh", here[:, g], rows[g], game.global_kernel[g])
                after += self.operators[g].transpose(onto)
            here = game.gamma * after
            total += here
        return total

    def optimal(self, hint: FloatArray | None, tolerance: float, sweeps: int) -> Bracket:
        """Bounds of the best values."""
        return enclose(self.best, self.start(hint), self.shift, tolerance, sweeps)

    def value(self, policy: SubsampledPolicy, hint: FloatArray | None, tolerance: float, sweeps: int) -> Bracket:
        """Bounds of the values of a policy."""
        rows = policy.global_policy
        shift = self.shift if policy.is_deterministic else product(self.shift, row_sums(rows))
        return enclose(lambda v: self.under(policy, v), self.start(hint), shift, tolerance, sweeps)

    def _all_values(self, v: FloatArray) -> list[tuple[FloatArray, float]]:
        return for_each(v.shape[1], lambda g: self.action_values(v, g), v.size)

    def _error(self, size: float, operator: float) -> float:
        game = self.game
        relative = operator + float(gamma(self.k * (game.n_local_actions + 2)))
        rewards = float(np.abs(game.global_reward).max() + np.abs(game.local_reward).max())
        rounding = float(gamma(game.n_global_states + game.n_local_states + game.n_local_actions + 12))
        return rounding * (rewards + size * (1.0 + relative)) + 1.01 * game.gamma * relative * size

    def _mixing(self, policy: SubsampledPolicy, size: float) -> float:
        rewards = float(np.abs(self.game.global_reward).max() + np.abs(self.game.local_reward).max())
        return 1.01 * float(gamma(policy.global_policy.shape[2] + 2)) * (rewards + 1.01 * size)


def surrogate(game: GlobalLocalGame, local_policy: FloatArray, k: int) -> Surrogate:
    """The k-surrogate of a game.

    Raises
    ------
    InvalidData : its histograms are more than memory holds. InvalidGame : its moves cannot be judged; see ``symmetric_power``.
    """
    Z, G = game.n_local_states, game.n_global_states
    affordable(k, Z, 6 * G, "numbers of a value bracket")
    histograms = Histograms(k, Z)
    rows = game.local_rows(local_policy)
    payoff = np.ascontiguousarray(histograms.mean(game.local_payoff(local_policy)).T)
    law = histogram_law(game, k)
    sums = product(row_sums(game.local_kernel), row_sums(local_policy))
    shift = product(product((game.gamma, game.gamma), row_sums(game.global_kernel)), sums, k)
    return Surrogate(game, k, payoff, tuple(symmetric_power(one, k) for one in rows), law, shift)


def histogram_law(game: GlobalLocalGame, k: int) -> FloatArray:
    """(N, G) the law of the first state of the k-surrogate."""
    return np.outer(game.initial.histogram_law(Histograms(k, game.n_local_states)), game.initial.global_law)


def spread(values: FloatArray, j: int, k: int, Z: int) -> FloatArray:
    """(N_k, C) the means of functions (N_j, C) of histograms over j agents drawn from k >= j ones."""
    for m in range(j, k):
        wider = Histograms(m + 1, Z)
        table, out = wider.table, np.zeros((wider.size, values.shape[1]))
        for z in range(Z):
            met = table[:, z] > 0
            out[met] += (table[met, z] / (m + 1))[:, None] * values[wider.without(z)[met]]
        values = out
    return values
