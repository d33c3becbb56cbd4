"""The k-surrogate under a fixed local policy: the Bellman operator of the global agent, and what rounding does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, frozen, whole_number
from eqsolve.errors import InvalidGame
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, affordable, rank_table
from eqsolve.mean_field.operators.lift import ACCURACY, THREADED_FROM, Lift, lift

Answer = TypeVar("Answer")
UNIT = 2.0**-53
COMPILE_FROM = 20_000
"""Values from which the compiled loops serve; below, loading the compiler would take longer than it saves."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    r"""The decision of the global agent who sees all of k agents (the k-surrogate), with the local policy fixed; made by ``stage``.

    .. math:: (T V)(g, d) = \max_a \Big[ r_g(g, a) + \gamma \sum_h P_g(h \mid g, a)\, \mathbb E[V(h, D') \mid g, d] \Big]
              + \frac1k \sum_z d_z\, r_l^{\pi_l}(z, g)

    Parameters
    ----------
    game : the game. k : agents. lift : the operators of the expectation. local : (G, N) the mean reward of the local agents.
    mass_error : how far the sum of a law of the next state may be from 1; rows of kernels are within 1e-9 only.
    """

    game: GlobalLocalGame
    k: int
    lift: Lift
    local: FloatArray
    mass_error: float

    @property
    def shape(self) -> tuple[int, int]:
        """(G, N)."""
        return self.game.n_global_states, self.lift.size

    def greedy(self, values: FloatArray) -> tuple[FloatArray, IntArray]:
        """(G, N) T V, and the first action that attains it up to rounding."""
        expected = self.lift.expected(np.ascontiguousarray(values.T))
        tie = 2.0 * self.rounding(values)
        top, best = np.empty(self.shape), np.empty(self.shape, dtype=np.int64)

        def work(g: int) -> None:
            ahead = expected[g]
            there = np.flatnonzero(self.game.global_available[g])
            kernel, reward = self.game.global_kernel[g, there], self.game.global_reward[g, there]
            if values.size >= COMPILE_FROM:
                from eqsolve.mean_field.operators import stage_kernels

                stage_kernels.greedy_pass(ahead, kernel, reward, self.local[g], self.game.gamma, tie, top[g], best[g])
            else:
                q = reward[:, None] + self.game.gamma * np.einsum("ah,dh->ad", kernel, ahead)
                top[g] = q.max(axis=0)
                best[g] = (q >= top[g] - tie).argmax(axis=0)
                top[g] += self.local[g]
            best[g] = there[best[g]]

        self.each(work)
        return top, best

    def backup(self, values: FloatArray, policy: npt.NDArray[Any]) -> FloatArray:
        """(G, N) one step of a policy, actions (G, N) or probabilities (G, N, A), then the values."""
        expected = self.lift.expected(np.ascontiguousarray(values.T))
        out = np.empty(self.shape)

        def work(g: int) -> None:
            kernel, reward, rule = self.game.global_kernel[g], self.game.global_reward[g], policy[g]
            if rule.ndim == 2:
                kernel, reward = np.einsum("da,ah->dh", rule, kernel), np.einsum("da,a->d", rule, reward)
            else:
                kernel, reward = kernel[rule], reward[rule]
            out[g] = reward + self.game.gamma * np.einsum("dh,dh->d", kernel, expected[g]) + self.local[g]

        self.each(work)
        return out

    def rounding(self, values: FloatArray) -> float:
        """A bound of the error of any component of T V, or of the backup of a policy, as computed."""
        G, A = self.game.n_global_states, self.game.n_global_actions
        size = max(abs(float(values.min())), abs(float(values.max())))
        rewards = float(np.abs(self.game.global_reward).max()) + float(np.abs(self.local).max())
        return self.lift.error * size + (2 * (G + A) + 8 + self.game.n_local_states) * UNIT * (size + rewards)

    def each(self, work: Callable[[int], Answer]) -> list[Answer]:
        """The work for every state of the global agent, in threads where there are many histograms."""
        return self.lift.map(work, range(self.shape[0]), self.shape[1])

    def parts(self, work: Callable[[slice], Answer]) -> list[Answer]:
        """The work on parts (G', N) of tables (G, N): all at once where they are small, else state by state."""
        G, N = self.shape
        if N < THREADED_FROM:
            return [work(slice(0, G))]
        return self.each(lambda g: work(slice(g, g + 1)))

    def extent(self, values: FloatArray, top: FloatArray) -> tuple[float, float]:
        """The least and the largest entry of TV - V."""
        found = np.array(self.parts(lambda part: _extent(top[part] - values[part])))
        return float(found[:, 0].min()), float(found[:, 1].max())

    def bracket(self, values: FloatArray, least: float, most: float) -> tuple[float, float]:
        r"""(low, high) with TV + low <= V* <= TV + high everywhere, by MacQueen's bounds and a bound of the rounding.

        .. math:: TV + \frac{\gamma}{1 - \gamma} \min(TV - V) \le V^\pi \le V^* \le TV + \frac{\gamma}{1 - \gamma} \max(TV - V)

        The lower bound holds for the greedy policy too; with TV from the backup of a policy, both hold for its value.

        Parameters
        ----------
        values : (G, N) V. least, most : the extent of TV - V, TV as computed.

        Notes
        -----
        Rows sum to 1 up to 1e-9 only: the constant factors are taken for the sums that make the bounds true.
        Source: MacQueen (1966); Puterman (2005), Theorem 6.6.3.
        """
        error = self.rounding(values)
        # A greedy action is taken within twice the error of the best one.
        low, high = least - 3.0 * error, most + error
        off, gamma = self.mass_error, self.game.gamma
        down, up = low * rate(gamma, off if low < 0.0 else -off), high * rate(gamma, off if high > 0.0 else -off)
        pad = 3.0 * error + 8 * UNIT * (abs(down) + abs(up))
        return down - pad, up + pad


def rate(gamma: float, off: float) -> float:
    """gamma / (1 - gamma) where the law of the next state has the total mass 1 + off.

    Raises
    ------
    InvalidGame : gamma times that mass is not below 1.
    """
    mass = gamma * (1.0 + off)
    if mass >= 1.0:
        raise InvalidGame(
            f"gamma is {gamma}, and rows of the kernels miss 1 by {off:.1e}: values may be infinite",
            "Divide the rows by their sums.",
        )
    return mass / (1.0 - mass)


def _extent(change: FloatArray) -> tuple[float, float]:
    return float(change.min()), float(change.max())


def stage(
    game: GlobalLocalGame,
    k: int,
    local_policy: npt.ArrayLike,
    *,
    method: str = "auto",
    threads: int = 0,
    accuracy: float = ACCURACY,
) -> Stage:
    """The k-surrogate of a game under a local policy (G, Z, A_l).

    Parameters
    ----------
    method, threads, accuracy : see ``lift``.

    Raises
    ------
    InvalidGame : k > n.
    InvalidData : k below 1, no local policy of the game, more histograms than memory holds.
    """
    agents = check_seen(game, k)
    policy = game.check_local(local_policy)
    G, Z = game.n_global_states, game.n_local_states
    affordable(agents, Z, G * (G + 16), "numbers of one sweep")
    rows = game.local_rows(policy)
    operators = lift(rows, agents, method, threads=threads, accuracy=accuracy)
    return Stage(game, agents, operators, local_mean(game, agents, policy), mass_error(game, agents, rows))


def local_mean(game: GlobalLocalGame, k: int, local_policy: FloatArray) -> FloatArray:
    """(G, N) the mean reward of k local agents."""
    return frozen(np.ascontiguousarray(Histograms(k, game.n_local_states).mean(game.local_payoff(local_policy))))


def mass_error(game: GlobalLocalGame, k: int, rows: FloatArray) -> float:
    """How far the sum of a law of the next global state and histogram may be from 1, if k agents move by rows (G, Z, Z)."""
    off = float(np.abs(game.global_kernel.sum(axis=2) - 1.0).max()) + k * float(np.abs(rows.sum(axis=2) - 1.0).max())
    return 1.01 * off + 16 * k * (game.n_global_states + game.n_local_states) * UNIT


def check_seen(game: GlobalLocalGame, k: int) -> int:
    """How many agents are seen, of those that there are.

    Raises
    ------
    InvalidGame : k > n. InvalidData : no whole number of at least 1.
    """
    agents = whole_number("k", k, 1)
    if agents > game.n:
        raise InvalidGame(f"k is {agents:,}, and the game has {game.n:,} local agents", f"Give k of at most {game.n:,}.")
    return agents


def raised(values: npt.ArrayLike, Z: int, k: int, K: int) -> FloatArray:
    r"""(C, N_K) functions (C, N_k) of the histogram of k agents, averaged over all k of K agents (without replacement).

    Notes
    -----
    The optimal values of the k-surrogate, raised so, are not below those of the K-surrogate with the same local policy: any k of
    the agents evolve on their own given the global state, and whoever sees all K can do no better for these k than who sees just
    them.

    Examples
    --------
    >>> raised([[0.0, 1.0]], 2, 1, 2).tolist()
    [[0.0, 0.5, 1.0]]
    """
    found = np.array(float_array("values", values, (None, Histograms(k, Z).size)).T, order="C")
    for agents in range(k + 1, K + 1):
        larger = Histograms(agents, Z)
        out = np.zeros((larger.size, found.shape[1]))
        if out.size >= COMPILE_FROM:
            from eqsolve.mean_field.operators import stage_kernels

            stage_kernels.average_pass(agents, larger.table, rank_table(agents, Z), found, out)
        else:
            for z in range(Z):
                there = np.flatnonzero(larger.table[:, z])
                out[there] += larger.table[there, z, None] / agents * found[larger.without(z)[there]]
        found = out
    return np.ascontiguousarray(found.T)
