"""The sampled Bellman operator of the paper, with samples that are drawn once or anew, and rounding in place of sampling."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, real_number, whole_number
from eqsolve.errors import unknown
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.global_step import Ending, GlobalIteration, GlobalStep
from eqsolve.mean_field.histograms import Histograms, affordable, rank_table
from eqsolve.mean_field.operators.lift import Lift
from eqsolve.mean_field.operators.stage import Stage, check_seen, local_mean, mass_error

Variant: TypeAlias = Literal["fixed", "paper", "shared", "rounded"]

UNIT = 2.0**-53
COMPILE_FROM = 5_000
"""Draws of one global state from which the compiled loops serve; below, loading the compiler would take longer than it saves."""
PIECE = 4096
"""Histograms whose draws the numpy twin makes at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """What the sampled global step found.

    Parameters
    ----------
    values : (G, N) values, in reward units; with samples drawn anew, of the last sweep.
    radius : largest distance from the fixed point of the sampled operator that is not excluded; None where there is none.
    policy : (G, N) greedy actions. sweeps : done. ending : why it ended. draws : of next histograms, in all.

    Notes
    -----
    How far the fixed point is from the optimal values of the k-surrogate is not told by ``radius``; evaluate the policy exactly.
    """

    values: FloatArray
    radius: float | None
    policy: IntArray
    sweeps: int
    ending: Ending
    draws: int


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The mean over places (N, m) of next histograms in place of the expected value."""

    places: npt.NDArray[np.int32]

    @property
    def error(self) -> float:
        """By rounding, per unit of the largest value."""
        return float(self.places.shape[1] + 2) * UNIT

    def forward(self, values: FloatArray) -> None:
        """values (N, C), in place: becomes the means."""
        before = values.copy()
        if self.places.size < COMPILE_FROM:
            values[:] = before[self.places].mean(axis=1)
            return
        from eqsolve.mean_field import sampled_kernels

        sampled_kernels.mean_pass(before, self.places, values)

    def backward(self, mass: FloatArray) -> None:
        """mass (N, C), in place: the adjoint of ``forward``."""
        before = mass / self.places.shape[1]
        mass[:] = 0.0
        for j in range(self.places.shape[1]):
            np.add.at(mass, self.places[:, j], before)


@dataclass(frozen=True, slots=True, eq=False)
class PairedStage(Stage):
    r"""The sampled operator with samples of their own for every action (Definition B.3).

    .. math:: (\hat T V)(g, d) = \max_a \Big[ r_g(g, a) + \frac\gamma m \sum_{j \le m} V(g^j_{g d a}, d^j_{g d a}) \Big]
              + \bar r_l(g, d)

    Parameters
    ----------
    places : for every global state the places (N, A, m) of next global state and histogram, A the actions that it has.
    """

    places: tuple[npt.NDArray[np.int32], ...] = ()

    def greedy(self, values: FloatArray) -> tuple[FloatArray, IntArray]:
        """(G, N) the sampled T V, and the first action that attains it up to rounding."""
        flat = values.reshape(-1)
        tie = 2.0 * self.rounding(values)
        top, best = np.empty(self.shape), np.empty(self.shape, dtype=np.int64)

        def work(g: int) -> None:
            there, places = np.flatnonzero(self.game.global_available[g]), self.places[g]
            reward = self.game.global_reward[g, there]
            if places.size >= COMPILE_FROM:
                from eqsolve.mean_field import sampled_kernels

                sampled_kernels.paired_greedy_pass(flat, places, reward, self.local[g], self.game.gamma, tie, top[g], best[g])
            else:
                q = reward + self.game.gamma * flat[places].mean(axis=2)
                top[g] = q.max(axis=1)
                best[g] = (q >= top[g, :, None] - tie).argmax(axis=1)
                top[g] += self.local[g]
            best[g] = there[best[g]]

        self.each(work)
        return top, best


def solve_sampled(
    game: GlobalLocalGame,
    k: int,
    local_policy: npt.ArrayLike,
    m: int,
    rng: np.random.Generator | int,
    tolerance: float = 1e-6,
    variant: Variant = "fixed",
    *,
    anderson: int = 6,
    sweeps: int | None = None,
    threads: int = 0,
) -> Sampled:
    """G-LEARN with m samples in place of the expectation (Algorithm 1 of the paper).

    Parameters
    ----------
    m : samples for every global state, histogram and action. rng : a generator, or a seed.
    tolerance : of the values, to the fixed point of the sampled operator.
    variant : "fixed": Definition B.3 with samples of next global state and histogram that are drawn once, so that the operator has
        a fixed point. "paper": as printed, with new samples in every sweep, from zero; no fixed point. "shared": next histograms
        only, drawn once and shared by the actions, with the expectation over the next global state exact. "rounded": in place of
        samples the expected next histogram, rounded by largest remainders, as in the code of the authors; ``m`` and ``rng`` are not
        used.
    anderson : sweeps that are mixed, where there is a fixed point.
    sweeps : for "paper", as many; when left out, until gamma^T times the largest value is within ``tolerance``. Else the limit.
    threads : at most so many at once; as many as there are processors when 0. Answers do not depend on it.

    Raises
    ------
    InvalidGame : k > n. UnknownName : another variant.
    InvalidData : a number out of range, no local policy of the game, more samples than memory holds; the largest k is told.
    """
    if variant not in get_args(Variant):
        raise unknown("variant", variant, get_args(Variant))
    samples = 1 if variant == "rounded" else whole_number("m", m, 1)
    bound = real_number("tolerance", tolerance, above=0.0)
    limit = None if sweeps is None else whole_number("sweeps", sweeps, 1)
    source = _Source.of(game, k, local_policy, np.random.default_rng(rng), threads)
    if variant == "paper":
        return _anew(source, samples, bound, limit)
    place = source.paired(samples) if variant == "fixed" else source.shared(samples, rounded=variant == "rounded")
    iteration = GlobalIteration(place, anderson)
    state, ending = iteration.run(iteration.begin(), bound, limit)
    found: GlobalStep = iteration.finish(state, ending)
    drawn = 0 if variant == "rounded" else samples * place.shape[1] * (source.pairs if variant == "fixed" else place.shape[0])
    return Sampled(found.values, found.radius, found.policy, found.sweeps, ending, drawn)


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """Where samples come from: one generator for each global state."""

    game: GlobalLocalGame
    k: int
    rows: FloatArray
    local: FloatArray
    rngs: tuple[np.random.Generator, ...]
    threads: int

    @staticmethod
    def of(game: GlobalLocalGame, k: int, local_policy: npt.ArrayLike, rng: np.random.Generator, threads: int) -> _Source:
        agents = check_seen(game, k)
        policy = game.check_local(local_policy)
        G, Z = game.n_global_states, game.n_local_states
        affordable(agents, Z, 4 * G, "values")
        local, rows = local_mean(game, agents, policy), game.local_rows(policy)
        return _Source(game, agents, rows, local, tuple(rng.spawn(G)), whole_number("threads", threads, 0))

    @property
    def some(self) -> Histograms:
        return Histograms(self.k, self.game.n_local_states)

    @property
    def pairs(self) -> int:
        """Global states with the actions that they have."""
        return int(self.game.global_available.sum())

    @property
    def _mass_error(self) -> float:
        return mass_error(self.game, self.k, self.rows)

    def shared(self, m: int, *, rounded: bool) -> Stage:
        """The stage with next histograms that all actions share."""
        affordable(self.k, self.game.n_local_states, self.game.n_global_states * m, "samples")
        empty = self._lift(())
        made = empty.map(lambda g: Samples(self._rounded(g) if rounded else self._draw(g, m)), range(len(self.rows)), self._work(m))
        return Stage(self.game, self.k, self._lift(tuple(made)), self.local, self._mass_error)

    def paired(self, m: int) -> PairedStage:
        """The stage with samples of their own for every action."""
        affordable(self.k, self.game.n_local_states, self.pairs * m, "samples")
        one = Samples(np.zeros((1, m), dtype=np.int32))
        operators = self._lift((one,) * len(self.rows))
        places = operators.map(lambda g: self._draw_pairs(g, m), range(len(self.rows)), self._work(m))
        return PairedStage(self.game, self.k, operators, self.local, self._mass_error, tuple(places))

    def _lift(self, operators: tuple[Samples, ...]) -> Lift:
        G = len(self.rows)
        return Lift(self.k, self.game.n_local_states, operators, ("sampled",) * G, np.ones(G), self.threads)

    def _work(self, m: int) -> int:
        return self.some.size * m

    def _draw(self, g: int, m: int) -> npt.NDArray[np.int32]:
        some, out = self.some, np.empty((self.some.size, m), dtype=np.int32)
        if out.size < COMPILE_FROM:
            return self._twin(g, m)
        from eqsolve.mean_field import sampled_kernels

        keep, alias = walker(self.rows[g])
        sampled_kernels.draw_pass(self.rngs[g], some.table, keep, alias, rank_table(some.k, some.Z), out)
        return out

    def _draw_pairs(self, g: int, m: int) -> npt.NDArray[np.int32]:
        some, there = self.some, np.flatnonzero(self.game.global_available[g])
        ladder = np.cumsum(self.game.global_kernel[g, there], axis=1)
        out = np.empty((some.size, len(there), m), dtype=np.int32)
        if out.size < COMPILE_FROM:
            places = self._twin(g, len(there) * m).reshape(out.shape)
            u = self.rngs[g].random(out.shape) * ladder[:, None, -1]
            out[:] = np.sum(u[..., None] >= ladder[:, None, :-1], axis=3) * some.size + places
            return out
        from eqsolve.mean_field import sampled_kernels

        keep, alias = walker(self.rows[g])
        sampled_kernels.draw_pairs_pass(self.rngs[g], some.table, keep, alias, rank_table(some.k, some.Z), ladder, out)
        return out

    def _twin(self, g: int, m: int) -> npt.NDArray[np.int32]:
        some, out = self.some, np.empty((self.some.size, m), dtype=np.int32)
        rows = self.rows[g] / self.rows[g].sum(axis=1, keepdims=True)
        for start in range(0, some.size, PIECE):
            piece = some.table[start : start + PIECE]
            moved = sum(self.rngs[g].multinomial(piece[:, z, None], rows[z], size=(len(piece), m)) for z in range(some.Z))
            out[start : start + PIECE] = some.rank(np.asarray(moved))
        return out

    def _rounded(self, g: int) -> npt.NDArray[np.int32]:
        """(N, 1) the expected next histogram, rounded down, with those that are missing where the remainders are largest."""
        expected = np.einsum("dz,zs->ds", self.some.table, self.rows[g])
        whole = np.floor(expected + 1e-9).astype(np.int64)
        missing = self.k - whole.sum(axis=1)
        order = np.argsort(-np.round(expected - whole, 9), axis=1, kind="stable")
        ahead = np.argsort(order, axis=1, kind="stable")
        places: npt.NDArray[np.int32] = self.some.rank(whole + (ahead < missing[:, None]))[:, None].astype(np.int32)
        return places


def walker(rows: FloatArray) -> tuple[FloatArray, IntArray]:
    """Walker's tables (Z, Z) for drawing from rows (Z, Z): cell s of a row stands for s with probability keep, else for alias."""
    Z = len(rows)
    keep, alias = np.ones((Z, Z)), np.tile(np.arange(Z), (Z, 1))
    for z in range(Z):
        share = rows[z] / rows[z].sum() * Z
        low, high = [s for s in range(Z) if share[s] < 1.0], [s for s in range(Z) if share[s] >= 1.0]
        while low and high:
            s, donor = low.pop(), high[-1]
            keep[z, s], alias[z, s] = share[s], donor
            share[donor] -= 1.0 - share[s]
            if share[donor] < 1.0:
                low.append(high.pop())
    return keep, alias


def _anew(source: _Source, m: int, tolerance: float, sweeps: int | None) -> Sampled:
    game = source.game
    if sweeps is None:
        largest = max(game.reward_bound, tolerance) / (1.0 - game.gamma)
        sweeps = max(1, ceil(log(largest / tolerance) / -log(game.gamma)))
    values: Any = np.zeros((game.n_global_states, source.some.size))
    policy = np.zeros(values.shape, dtype=np.int64)
    for _ in range(sweeps):
        values, policy = source.paired(m).greedy(values)
    return Sampled(values, None, policy, sweeps, "iteration limit", sweeps * source.pairs * m * source.some.size)
