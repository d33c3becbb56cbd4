"""Online execution agent by agent: the oracle of the rollouts by counts, in time that grows with n."""

from __future__ import annotations

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms
from eqsolve.mean_field.policy import SubsampledPolicy


def simulate_agents(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    rollouts: int,
    steps: int,
    rng: np.random.Generator,
    *,
    order: str = "current",
    record: bool = False,
) -> FloatArray:
    """Discounted returns (B,) of the policy, every agent's state, action, reward and move drawn on its own.

    A plain reading of Algorithm 4 of the paper, with numpy over the agents; ``simulate`` has the same law. With ``record`` the
    result is (B, H, Z): how many agents were in each state.
    """
    policy.check(game)
    Z, k = game.n_local_states, policy.k
    histograms = Histograms(k, Z)
    rows = policy.global_rows(game.n_global_actions)
    acting = np.cumsum(policy.local_policy, axis=-1)
    moving, switching = np.cumsum(game.local_kernel, axis=-1), np.cumsum(game.global_kernel, axis=-1)
    first, counts = game.initial.sample(rng, rollouts, game.n)
    returns, paths = np.zeros(rollouts), np.zeros((rollouts, steps, Z))
    for b in range(rollouts):
        g, agents = int(first[b]), np.repeat(np.arange(Z), counts[b])
        for t in range(steps):
            paths[b, t] = np.bincount(agents, minlength=Z)
            seen = rng.choice(agents, size=k, replace=False)
            place = int(histograms.rank(np.bincount(seen, minlength=Z)))
            a = _drawn(rng, np.cumsum(rows[g, place])[None])[0]
            actions = _drawn(rng, acting[g, agents])
            reward = game.global_reward[g, a] if game.global_noise is None else game.global_noise.sample(rng, ([g], [a]))[0]
            own = game.local_reward[agents, g, actions]
            if game.local_noise is not None:
                own = game.local_noise.sample(rng, (agents, np.full(game.n, g), actions))
            returns[b] += game.gamma**t * (reward + own.mean())
            then = int(_drawn(rng, switching[g, a][None])[0])
            agents = _drawn(rng, moving[agents, then if order == "next" else g, actions])
            g = then
    return paths if record else returns


def _drawn(rng: np.random.Generator, edges: FloatArray) -> IntArray:
    """(n,) one outcome per row of partial sums (n, M)."""
    return np.asarray(np.minimum((rng.random(len(edges))[:, None] >= edges).sum(axis=1), edges.shape[1] - 1))
