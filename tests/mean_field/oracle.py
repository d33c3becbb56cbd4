"""What a reader of the definitions would compute: every agent on its own, every joint move written out.

Shares nothing with the package but the arrays of the game and the order of the histograms.
"""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement, product

import numpy as np

from eqsolve.mean_field import Histograms


def crowds(k, Z):
    """All ways to place k agents, each as the sorted tuple of their states, in the order of ``Histograms(k, Z)``."""
    listed = {counts(crowd, Z): crowd for crowd in combinations_with_replacement(range(Z), k)}
    return [listed[tuple(row)] for row in Histograms(k, Z).table.tolist()]


def counts(crowd, Z):
    return tuple(sum(s == z for s in crowd) for z in range(Z))


def places(k, Z):
    """The number of every crowd, by its sorted tuple."""
    return {crowd: h for h, crowd in enumerate(crowds(k, Z))}


def local_rows(game, local_policy):
    """(G, Z, Z), entry by entry."""
    G, Z, A = local_policy.shape
    rows = np.zeros((G, Z, Z))
    for g, z, a in product(range(G), range(Z), range(A)):
        rows[g, z] += local_policy[g, z, a] * game.local_kernel[z, g, a]
    return rows


def move_law(rows, crowd, place):
    """Law of the next crowd when the agent in state z moves by rows[z], as a vector over the crowds."""
    law = np.zeros(len(place))
    for to in product(range(len(rows)), repeat=len(crowd)):
        chance = 1.0
        for s, s2 in zip(crowd, to, strict=True):
            chance *= rows[s, s2]
        if chance:
            law[place[tuple(sorted(to))]] += chance
    return law


def crowd_kernel(game, k, local_policy):
    """(G, N, N) how the crowd moves while the global state is g."""
    place = places(k, game.n_local_states)
    rows = local_rows(game, local_policy)
    return np.array([[move_law(rows[g], crowd, place) for crowd in place] for g in range(game.n_global_states)])


def expected_next(game, k, local_policy, values):
    """(G, G', N) E[values[h, D'] | s_g = g, d] for values (G', N)."""
    return np.einsum("gde,he->ghd", crowd_kernel(game, k, local_policy), values)


def payoffs(game, k, local_policy):
    """(G, N) the average over the crowd of what its agents earn."""
    found = np.zeros((game.n_global_states, Histograms(k, game.n_local_states).size))
    for crowd, h in places(k, game.n_local_states).items():
        for g in range(game.n_global_states):
            for s in crowd:
                for a in range(game.n_local_actions):
                    found[g, h] += local_policy[g, s, a] * game.local_reward[s, g, a] / k
    return found


def stage(game, k, local_policy):
    """Kernel (G, N, A_g, G, N) and rewards (G, N, A_g) of the global agent in the k-surrogate."""
    moves = crowd_kernel(game, k, local_policy)
    kernel = np.einsum("gah,gde->gdahe", game.global_kernel, moves)
    reward = payoffs(game, k, local_policy)[:, :, None] + game.global_reward[:, None, :]
    return kernel, reward


def optimal_values(game, k, local_policy):
    """(G, N) V* of the global agent and (G, N, A_g) Q*, by value iteration to rounding."""
    kernel, reward = stage(game, k, local_policy)
    here = game.global_available[:, None, :]
    value = np.zeros(reward.shape[:2])
    for _ in range(5000):
        q = np.where(here, reward + game.gamma * np.einsum("gdahe,he->gda", kernel, value), -np.inf)
        new = q.max(axis=-1)
        if np.abs(new - value).max() <= 1e-13 * (1 + np.abs(new).max()):
            break
        value = new
    return new, q


def seen_rows(policy, n, A, Z):
    """(G, N_n, A_g) what the global agent does in a crowd of n, of which it sees every k agents with the same chance."""
    place = places(policy.k, Z)
    given = np.asarray(policy.global_policy)
    rows = np.zeros((len(given), Histograms(n, Z).size, A))
    for crowd, h in places(n, Z).items():
        drawn = list(combinations(crowd, policy.k))
        for g, some in product(range(len(given)), drawn):
            seen = given[g, place[tuple(sorted(some))]]
            rows[g, h] += (np.eye(A)[seen] if given.ndim == 2 else seen) / len(drawn)
    return rows


def policy_values(game, policy, n=None):
    """(G, N_n) the value of a policy with n local agents, the game's own number when left out; a linear system."""
    n = game.n if n is None else n
    kernel, reward = stage(game, n, policy.local_policy)
    rows = seen_rows(policy, n, game.n_global_actions, game.n_local_states)
    P = np.einsum("gda,gdahe->gdhe", rows, kernel)
    r = np.einsum("gda,gda->gd", rows, reward)
    size = r.size
    return np.linalg.solve(np.eye(size) - game.gamma * P.reshape(size, size), r.reshape(-1)).reshape(r.shape)


def initial_law(game, n):
    """(G, N_n) of the first global state and the histogram of n agents, through the chances of ordered tuples."""
    law, Z = game.initial, game.n_local_states
    found = np.zeros(Histograms(n, Z).size)
    place = places(n, Z)
    for states in product(range(Z), repeat=n):
        chance, left = 1.0, np.array(law.local, dtype=float)
        for s in states:  # one agent after the other, given those before
            chance *= left[s] / left.sum()
            left[s] += {"iid": 0.0, "dirichlet": 1.0, "counts": -1.0}[law.kind]
            if not left.sum() > 0:
                break
        found[place[tuple(sorted(states))]] += chance
    return np.outer(law.global_law, found)


def mean_value(game, values, n):
    """The value from the initial law."""
    return float((initial_law(game, n) * values).sum())


def joint_stage(game, k):
    """The centralised process of the k-surrogate: one who sees all chooses a_g and every agent's action.

    Yields for every (g, crowd) the list of (rewards, next laws over (G, N)) of all joint actions.
    """
    place = places(k, game.n_local_states)
    options = [np.flatnonzero(game.local_available[z]) for z in range(game.n_local_states)]
    for g in range(game.n_global_states):
        for crowd in place:
            found = []
            for actions in product(*(options[s] for s in crowd)):
                rows = [game.local_kernel[s, g, a] for s, a in zip(crowd, actions, strict=True)]
                law = np.zeros(len(place))
                for to in product(range(game.n_local_states), repeat=k):
                    law[place[tuple(sorted(to))]] += np.prod([row[s] for row, s in zip(rows, to, strict=True)])
                earned = np.mean([game.local_reward[s, g, a] for s, a in zip(crowd, actions, strict=True)])
                found += [
                    (game.global_reward[g, a_g] + earned, np.outer(game.global_kernel[g, a_g], law), a_g)
                    for a_g in np.flatnonzero(game.global_available[g])
                ]
            yield (g, place[crowd]), found


def joint_values(game, k, global_rows=None):
    """(G, N) the best value of one who sees all and chooses all actions; with ``global_rows`` (G, N, A_g) the global ones are given
    and only the local actions are chosen: the full-information local best response."""
    places_of = dict(joint_stage(game, k))
    G, N = game.n_global_states, Histograms(k, game.n_local_states).size
    value = np.zeros((G, N))
    tables = {}
    for where, found in places_of.items():
        r, P = np.array([one[0] for one in found]), np.array([one[1] for one in found])
        if global_rows is not None:
            weight = global_rows[where][[one[2] for one in found]]
            used = int(game.global_available[where[0]].sum())
            r = (r * weight).reshape(-1, used).sum(axis=1)
            P = (P * weight[:, None, None]).reshape(-1, used, G, N).sum(axis=1)
        tables[where] = (r, P)
    for _ in range(5000):
        new = np.empty((G, N))
        for where, (r, P) in tables.items():
            new[where] = (r + game.gamma * np.einsum("ahe,he->a", P, value)).max()
        if np.abs(new - value).max() <= 1e-13 * (1 + np.abs(new).max()):
            return new
        value = new
    return value


def deterministic_locals(game):
    """All deterministic shared local policies (G, Z, A_l)."""
    G, Z = game.n_global_states, game.n_local_states
    options = [np.flatnonzero(game.local_available[z]) for _ in range(G) for z in range(Z)]
    for chosen in product(*options):
        yield np.eye(game.n_local_actions)[np.array(chosen).reshape(G, Z)]
