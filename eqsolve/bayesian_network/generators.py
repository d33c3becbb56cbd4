"""Standard cooperative games: penalty and climbing, a search mission of drones, coordination over a line, random ones."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import int_array, real_number, whole_number
from eqsolve.bayesian_network.factors import LARGEST, Factor, in_words
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.errors import InvalidGame


def penalty_game(k: float = -10.0, agents: int = 2) -> CooperativeMarkovGame:
    r"""The penalty game: two ways to coordinate that must not be mixed, and a safe one that pays little.

    .. math:: \begin{pmatrix} 10 & 0 & k \\ 0 & 2 & 0 \\ k & 0 & 10 \end{pmatrix}

    Parameters
    ----------
    k : the penalty, at most 0, where some agent plays the first action and another one the last.
    agents : N >= 2. With more than two, all must agree for a reward of 10 or 2, and k is due as soon as both extremes are played.

    Raises
    ------
    InvalidGame : a parameter out of range.

    Notes
    -----
    Source: Claus and Boutilier (1998), The dynamics of reinforcement learning in cooperative multiagent systems. Independent
    learners who start at random avoid both optima when the penalty is large.
    """
    N = whole_number("agents", agents, 2, InvalidGame, most=12)
    fine = real_number("k", k, error=InvalidGame)
    if fine > 0:
        raise InvalidGame(f"k is {fine:g}, a penalty above 0", "Give k <= 0.")
    table = np.zeros((1,) + (3,) * N)
    for joint in product(range(3), repeat=N):
        used = set(joint)
        table[(0, *joint)] = fine if {0, 2} <= used else (10.0, 2.0, 10.0)[joint[0]] if len(used) == 1 else 0.0
    return CooperativeMarkovGame([3] * N, None, table, 0.0, name="penalty", actions=("left", "safe", "right"))


def climbing_game() -> CooperativeMarkovGame:
    r"""The climbing game of two agents: the way up to the optimum 11 leads past penalties.

    .. math:: \begin{pmatrix} 11 & -30 & 0 \\ -30 & 7 & 6 \\ 0 & 0 & 5 \end{pmatrix}

    Source: Claus and Boutilier (1998).
    """
    table = [[[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]]]
    return CooperativeMarkovGame([3, 3], None, table, 0.0, name="climbing")


def coordination_line(
    agents: int = 10, actions: int = 3, *, gamma: float = 0.0, noise: float = 0.1, seed: int = 0
) -> CooperativeMarkovGame:
    """Agents on a line who like to do what their neighbours do: one state, a reward per pair of neighbours.

    Parameters
    ----------
    agents, actions : N >= 2 and m >= 1.
    noise : standard deviation of what is added to the reward 1 of equal actions and 0 of others.

    Raises
    ------
    InvalidGame : a parameter out of range.
    """
    N, m = whole_number("agents", agents, 2, InvalidGame), whole_number("actions", actions, 1, InvalidGame)
    spread = real_number("noise", noise, least=0.0, error=InvalidGame)
    rng = _generator(seed)
    factors = tuple(Factor((i, i + 1), (np.eye(m) + spread * rng.standard_normal((m, m)))[None]) for i in range(N - 1))
    return CooperativeMarkovGame([m] * N, None, factors, gamma, name="coordination line")


MOVES = {"stay": (0, 0), "north": (-1, 0), "south": (1, 0), "west": (0, -1), "east": (0, 1)}


def search_mission(
    drones: int = 2,
    width: int = 3,
    height: int = 3,
    *,
    gamma: float = 0.9,
    wind: float = 0.1,
    collision: float = 1.0,
    seed: int = 0,
) -> CooperativeMarkovGame:
    r"""Drones search a grid for a target; two that look into the same cell see no more than one, and may collide.

    A state is the cells of all drones. Every drone stays or flies to a neighbouring cell (at the border it stays); with probability
    ``wind`` it is kept where it is. The reward of a state and joint action is the chance that the target is in one of the cells
    aimed at (distinct cells count once), less ``collision`` for every pair of drones that aim at the same cell.

    Parameters
    ----------
    drones : N >= 1. width, height : of the grid. gamma : discount. wind : in [0, 1). collision : cost >= 0 in reward units.
    seed : of the chances of the cells, a random distribution.

    Raises
    ------
    InvalidGame : a parameter out of range, more states and joint actions than memory holds.
    """
    D, W, H = (whole_number(n, v, 1, InvalidGame) for n, v in (("drones", drones), ("width", width), ("height", height)))
    keep = real_number("wind", wind, least=0.0, below=1.0, error=InvalidGame)
    cost = real_number("collision", collision, least=0.0, error=InvalidGame)
    cells, m = W * H, len(MOVES)
    S, A = cells**D, m**D
    if S * A * 2**D > LARGEST:
        raise InvalidGame(
            f"{D} drones over {cells} cells make {in_words(S)} states and {in_words(A)} joint actions",
            f"At most {LARGEST:,} moves are held.",
        )
    chance = _generator(seed).dirichlet(np.ones(cells))
    row, column = np.divmod(np.arange(cells), W)
    steps = np.asarray(list(MOVES.values()))
    aimed = np.clip(row[:, None] + steps[:, 0], 0, H - 1) * W + np.clip(column[:, None] + steps[:, 1], 0, W - 1)  # (cells, m)
    alone = sparse.csr_array(
        ((1 - keep) * np.eye(cells)[aimed] + keep * np.eye(cells)[:, None, :]).reshape(-1, cells)
    )  # (cells m, cells)
    joint = alone
    for _ in range(D - 1):
        joint = sparse.csr_array(sparse.kron(joint, alone))
    # Rows of a Kronecker product are (cell 1, action 1, cell 2, action 2, ...); those of the game are (cells..., actions...).
    rows = np.arange(S * A).reshape((cells, m) * D).transpose((*range(0, 2 * D, 2), *range(1, 2 * D, 2))).reshape(-1)
    targets = np.stack(
        np.broadcast_arrays(*(aimed.reshape([cells if k == i else m if k == D + i else 1 for k in range(2 * D)]) for i in range(D)))
    )
    flat = targets.reshape(D, S * A)
    first = np.ones((D, S * A), dtype=bool)
    for i in range(D):
        for j in range(i):
            first[i] &= flat[i] != flat[j]
    pairs = sum(((flat[i] == flat[j]).astype(np.float64) for i in range(D) for j in range(i)), start=np.zeros(S * A))
    reward = (chance[flat] * first).sum(axis=0) - cost * pairs
    labels = [
        "/".join(f"{row[c]}{column[c]}" if W <= 10 and H <= 10 else f"{row[c]}:{column[c]}" for c in state)
        for state in product(range(cells), repeat=D)
    ]
    return CooperativeMarkovGame(
        [m] * D,
        joint[rows],
        reward.reshape(S, A),
        gamma,
        name="search mission",
        states=labels,
        agents=[f"drone {i}" for i in range(D)],
        actions=list(MOVES),
    )


def random_cooperative(
    states: int = 3, n_actions: Any = (2, 2), *, gamma: float = 0.9, successors: int = 0, seed: int = 0
) -> CooperativeMarkovGame:
    """Uniform rewards in [0, 1] and random transitions over joint actions, from a random initial distribution.

    Parameters
    ----------
    successors : states that a joint action may lead to, the kernel being sparse; all of them, and a dense kernel, when 0.

    Raises
    ------
    InvalidGame : a parameter out of range, more numbers than memory holds.
    """
    S = whole_number("states", states, 1, InvalidGame)
    m = tuple(int_array("n_actions", n_actions, (None,), error=InvalidGame).tolist())
    few = min(whole_number("successors", successors, 0, InvalidGame) or S, S)
    A = prod(max(one, 1) for one in m)
    if S * A * few > LARGEST:
        raise InvalidGame(
            f"{S:,} states and {in_words(A)} joint actions make {in_words(S * A * few)} transitions",
            f"At most {LARGEST:,} are held.",
        )
    rng = _generator(seed)
    reward = rng.random((S, *m)) if min(m, default=0) > 0 else np.zeros((S, *m))
    P: Any
    if few < S:
        to = rng.permuted(np.tile(np.arange(S), (S * A, 1)), axis=1)[:, :few]
        weight = rng.dirichlet(np.ones(few), S * A)
        P = sparse.csr_array((weight.reshape(-1), (np.repeat(np.arange(S * A), few), to.reshape(-1))), shape=(S * A, S))
    else:
        P = rng.dirichlet(np.ones(S), S * A)
    return CooperativeMarkovGame(m, P, reward, gamma, initial=rng.dirichlet(np.ones(S)), name="random cooperative game")


def random_factored(
    states: int = 2, n_actions: Any = (2,) * 6, *, scope: int = 2, gamma: float = 0.9, seed: int = 0
) -> CooperativeMarkovGame:
    """Rewards and transitions as sums over windows of neighbouring agents, with random tables.

    Parameters
    ----------
    scope : agents per window, at least 1.

    Raises
    ------
    InvalidGame : a parameter out of range.
    """
    S = whole_number("states", states, 1, InvalidGame)
    m = tuple(int_array("n_actions", n_actions, (None,), error=InvalidGame).tolist())
    wide = min(whole_number("scope", scope, 1, InvalidGame), len(m))
    rng = _generator(seed)
    windows = [tuple(range(i, i + wide)) for i in range(len(m) - wide + 1)]
    rewards = tuple(Factor(one, rng.random((S, *(m[i] for i in one)))) for one in windows)
    moves: Any = None
    if S > 1:
        share = rng.dirichlet(np.ones(len(windows)))
        moves = tuple(
            Factor(one, w * rng.dirichlet(np.ones(S), (S, *(m[i] for i in one)))) for one, w in zip(windows, share, strict=True)
        )
    return CooperativeMarkovGame(m, moves, rewards, gamma, name="random factored game")


def _generator(seed: object) -> np.random.Generator:
    return np.random.default_rng(whole_number("seed", seed, 0, InvalidGame))


GENERATORS = {
    "climbing_game": climbing_game,
    "coordination_line": coordination_line,
    "penalty_game": penalty_game,
    "random_cooperative": random_cooperative,
    "random_factored": random_factored,
    "search_mission": search_mission,
}
"""By name, for model files."""
