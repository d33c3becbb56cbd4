"""What the rollouts by counts read, and the numpy twin of the compiled rollouts."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, frozen
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.rewards import StochasticReward

Order = Literal["current", "next"]
Rewards = Literal["expected", "sampled"]

MOST = 10**9
"""Agents from which on numpy draws no hypergeometric numbers."""


class Tables(NamedTuple):
    """What the rollouts read. Binomial chains hold the chance of one outcome given that none before it has come.

    edges : (G, N, A_g) partial sums of a stochastic global policy, or (0, 0, 0). choice : (G, N) of a deterministic one.
    move_edges : (G, A_g, G) partial sums of P_g. pay : (G, A_g, 2, M) partial sums and values of r_g.
    act : (G, Z, A) chain of the local policy. local_pay : (G, Z, A) rewards without noise.
    noise, paid : (G, Z, A, M) chain and values of the noise.
    go : (G, H, Z, A, Z) chain of the moves, by the next global state too where H = G; to : the states, most probable first.
    """

    choice: IntArray
    edges: FloatArray
    move_edges: FloatArray
    pay: FloatArray
    act: FloatArray
    local_pay: FloatArray
    noise: FloatArray
    paid: FloatArray
    go: FloatArray
    to: IntArray


def tables_of(game: GlobalLocalGame, policy: SubsampledPolicy, order: Order, rewards: Rewards) -> Tables:
    """The tables for a game and a policy, read-only; under expected rewards the local policy is mixed into rewards and moves."""
    G, Z = game.n_global_states, game.n_local_states
    pi, kernel = policy.local_policy, game.local_kernel
    if rewards == "expected":
        act, local_pay = np.ones((G, Z, 1)), np.einsum("gza,zga->gz", pi, game.local_reward)[:, :, None]
        rows = np.einsum("gza,zhas->ghzs" if order == "next" else "gza,zgas->gzs", pi, kernel).reshape(G, -1, Z, 1, Z)
        noise = paid = np.zeros((G, Z, 1, 0))
        pay = _values(game.global_reward, None)
    else:
        act, local_pay = _chain(pi), np.ascontiguousarray(game.local_reward.transpose(1, 0, 2))
        by_state = kernel.transpose(1, 0, 2, 3)
        rows = np.repeat(by_state[None], G, axis=0) if order == "next" else by_state[:, None]
        noise = paid = np.zeros((*act.shape, 0))
        if game.local_noise is not None:
            local_pay = np.zeros_like(local_pay)
            noise = np.ascontiguousarray(_chain(game.local_noise.probabilities).transpose(1, 0, 2, 3))
            paid = np.ascontiguousarray(game.local_noise.values.transpose(1, 0, 2, 3))
        pay = _values(game.global_reward, game.global_noise)
    to = np.argsort(-rows, axis=-1, kind="stable")
    go = _chain(np.take_along_axis(rows, to, axis=-1))
    edges = np.zeros((0, 0, 0)) if policy.is_deterministic else _edges(policy.global_policy)
    choice = np.asarray(policy.global_policy if policy.is_deterministic else np.zeros((0, 0)), dtype=np.int64)
    found = (choice, edges, _edges(game.global_kernel), pay, act, local_pay, noise, paid, go, to)
    return Tables(*(frozen(np.ascontiguousarray(one)) for one in found))


def _chain(rows: FloatArray) -> FloatArray:
    """(..., M) the chance of each outcome given that none before it has come; 1 where nothing is left."""
    left = np.cumsum(rows[..., ::-1], axis=-1)[..., ::-1]
    after = np.concatenate([left[..., 1:], np.zeros((*left.shape[:-1], 1))], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.ascontiguousarray(np.where(after > 0, np.minimum(rows / left, 1.0), 1.0))


def _edges(rows: FloatArray) -> FloatArray:
    """(..., M) partial sums, infinite from the last outcome of positive probability on, which takes what rounding leaves of 1."""
    edges = np.cumsum(rows, axis=-1)
    after = np.cumsum(rows[..., ::-1], axis=-1)[..., ::-1]
    later = np.concatenate([after[..., 1:], np.zeros((*after.shape[:-1], 1))], axis=-1)
    return np.where(later > 0, edges, np.inf)


def _values(mean: FloatArray, noise: StochasticReward | None) -> FloatArray:
    """(G, A_g, 2, M) partial sums of probabilities and values of a reward."""
    if noise is None:
        return np.stack([np.full_like(mean, np.inf), mean], axis=-1)[..., None]
    return np.stack([_edges(noise.probabilities), noise.values], axis=2)


def draw_histograms(rng: np.random.Generator, counts: IntArray, k: int) -> IntArray:
    """(B, Z) how many of k agents, drawn without replacement from counts (B, Z), are in each state."""
    sample = np.zeros_like(counts)
    if counts[0].sum() >= MOST:  # one agent after the other
        for _ in range(k):
            edges = np.cumsum(counts - sample, axis=1)
            drawn = (rng.random(len(counts)) * edges[:, -1])[:, None] >= edges[:, :-1]
            sample[np.arange(len(counts)), drawn.sum(axis=1)] += 1
        return sample
    left, others = np.full(len(counts), k, dtype=np.int64), counts.sum(axis=1)
    for z in range(counts.shape[1]):
        others = others - counts[:, z]
        sample[:, z] = rng.hypergeometric(counts[:, z], others, left)
        left -= sample[:, z]
    return sample


def play(
    rng: np.random.Generator,
    g: IntArray,
    counts: IntArray,
    k: int,
    tables: Tables,
    discounts: FloatArray,
    returns: FloatArray,
    hits: IntArray,
    seen: tuple[IntArray, IntArray, IntArray],
) -> None:
    """The numpy twin of the compiled rollouts: all of them at once."""
    B, Z = counts.shape
    histograms, rows = Histograms(k, Z), np.arange(B)
    returns[:] = 0.0
    n = int(counts[0].sum())
    for t, discount in enumerate(discounts):
        place = histograms.rank(draw_histograms(rng, counts, k))
        a = tables.choice[g, place] if not tables.edges.size else _pick(rng, tables.edges[g, place])
        modes = counts == counts.max(axis=1, keepdims=True)
        for column, zone in enumerate((a, g)):
            hits[:, column] += (zone < Z) & modes[rows, np.minimum(zone, Z - 1)]
        for out, values in zip(seen, (counts, g, a), strict=True):
            out[:, t] = values[: len(out)]
        then = _pick(rng, tables.move_edges[g, a])
        pay = tables.pay[g, a]
        reward = pay[rows, 1, _pick(rng, pay[:, 0]) if pay.shape[2] > 1 else 0]
        local, following = np.zeros(B), np.zeros_like(counts)
        on = then if tables.go.shape[1] > 1 else np.zeros(B, dtype=np.int64)
        for z in range(Z):
            left = counts[:, z].copy()
            for i in range(tables.act.shape[2]):
                c = rng.binomial(left, tables.act[g, z, i])
                left -= c
                local += c * tables.local_pay[g, z, i]
                noisy = c.copy()
                for m in range(tables.noise.shape[3]):
                    drawn = rng.binomial(noisy, tables.noise[g, z, i, m])
                    local += drawn * tables.paid[g, z, i, m]
                    noisy -= drawn
                for j in range(Z):
                    moved = rng.binomial(c, tables.go[g, on, z, i, j])
                    c = c - moved
                    following[rows, tables.to[g, on, z, i, j]] += moved
        returns += discount * (reward + local / n)
        counts, g = following, then


def _pick(rng: np.random.Generator, edges: FloatArray) -> IntArray:
    """(B,) the places of random numbers among partial sums (B, M) of probabilities."""
    return np.asarray((rng.random(len(edges))[:, None] >= edges).sum(axis=1))
