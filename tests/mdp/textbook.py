"""Numbered textbook examples with their closed-form answers, each in several encodings.

``CASES`` have optimal values, ``POLICY_CASES`` the values of one given policy, ``LARGE_CASES`` are for methods that need no LP.
The answers come from formulas in exact or nearly exact arithmetic, never from a method of the library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy import sparse

from eqsolve.mdp.model import FiniteMDP


@dataclass(frozen=True)
class Case:
    """A process and its answer.

    Parameters
    ----------
    values : (S,) optimal values at the first step; of ``POLICY_CASES`` the values of ``policy``.
    choice : (S,) or (H, S) the optimal action numbers, None where several are optimal.
    policy : the policy that is valued, of ``POLICY_CASES``.
    printed, decimals : the values as the book prints them.
    """

    name: str
    source: str
    build: Callable[[], FiniteMDP]
    values: np.ndarray
    choice: np.ndarray | None = None
    policy: np.ndarray | None = None
    printed: np.ndarray | None = None
    decimals: int = 0

    @property
    def mdp(self) -> FiniteMDP:
        return self.build()

    @property
    def value(self) -> float:
        """From the initial distribution."""
        return float(self.mdp.initial @ self.values)


# Puterman 2005, Example 3.1.1 (values: section 6.2 and 6.3)


def two_states(gamma: float) -> FiniteMDP:
    rows = [[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]
    labels = {"states": ["s1", "s2"], "actions": ["a11", "a12", "a21"]}
    return FiniteMDP([2, 1], rows, [5.0, 10.0, -1.0], gamma, name="two states", **labels)


def two_states_case(gamma: Fraction) -> Case:
    second = -1 / (1 - gamma)
    stay = (5 + gamma * second / 2) / (1 - gamma / 2)
    leave = 10 + gamma * second
    values = np.array([float(max(stay, leave)), float(second)])
    choice = None if stay == leave else np.array([int(leave > stay), 0])
    source = "Puterman 2005, Example 3.1.1: a12 up to gamma 10/11, a11 above"
    return Case(f"two-states-{float(gamma):.4g}", source, lambda: two_states(float(gamma)), values, choice)


# Puterman 2005, section 3.2.2 solved in section 4.6.1: inventory, three decisions, demand 0, 1, 2


def inventory() -> FiniteMDP:
    demand = {0: 0.25, 1: 0.5, 2: 0.25}
    revenue = [0.0, 6.0, 8.0, 8.0]
    rows, rewards = [], []
    for stock in range(4):
        for order in range(4 - stock):
            row = np.zeros(4)
            for sold, p in demand.items():
                row[max(stock + order - sold, 0)] += p
            rows.append(row)
            rewards.append(revenue[stock + order] - (4.0 + 2.0 * order) * (order > 0) - (stock + order))
    return FiniteMDP([4, 3, 2, 1], rows, rewards, horizon=3, initial=0, name="inventory")


INVENTORY = Case(
    "inventory",
    "Puterman 2005, section 4.6.1: 67/16, 129/16, 194/16, 227/16",
    inventory,
    np.array([67, 129, 194, 227]) / 16,
    np.array([[3, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]]),
)


# Sutton and Barto 2018, Example 3.3: recycling robot

ALPHA, BETA, SEARCH, WAIT = 0.8, 0.6, 2.0, 1.0


def recycling_robot() -> FiniteMDP:
    rows = [[ALPHA, 1 - ALPHA], [1, 0], [1 - BETA, BETA], [0, 1], [1, 0]]
    rewards = [SEARCH, WAIT, BETA * SEARCH - 3 * (1 - BETA), WAIT, 0.0]
    names = ["search", "wait", "search", "wait", "recharge"]
    return FiniteMDP([2, 3], rows, rewards, 0.9, states=["high", "low"], actions=names, name="recycling robot")


HIGH = SEARCH / (1 - 0.9 * ALPHA - 0.81 * (1 - ALPHA))
ROBOT = Case(
    "recycling-robot",
    "Sutton and Barto 2018, Example 3.3: search when high, recharge when low, v(high) = r / (1 - g a - g^2 (1 - a))",
    recycling_robot,
    np.array([HIGH, 0.9 * HIGH]),
    np.array([0, 2]),
)


# Sutton and Barto 2018, Examples 3.5 and 3.8: a grid with two jumps, and Example 4.1: the shortest way to a corner

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))


def moved(row: int, column: int, move: tuple[int, int], side: int) -> tuple[int, int, bool]:
    to = (row + move[0], column + move[1])
    inside = 0 <= to[0] < side and 0 <= to[1] < side
    return (*to, True) if inside else (row, column, False)


def jumping_grid() -> FiniteMDP:
    jumps = {(0, 1): ((4, 1), 10.0), (0, 3): ((2, 3), 5.0)}
    P, r = np.zeros((25, 4, 25)), np.zeros((25, 4))
    for row in range(5):
        for column in range(5):
            for a, move in enumerate(MOVES):
                *to, inside = moved(row, column, move, 5)
                r[5 * row + column, a] = 0.0 if inside else -1.0
                if (row, column) in jumps:
                    to, r[5 * row + column, a] = jumps[row, column]
                P[5 * row + column, a, 5 * to[0] + to[1]] = 1.0
    return FiniteMDP.from_arrays(P, r, 0.9, name="jumping grid", actions=["north", "east", "south", "west"])


def jumping_grid_values() -> np.ndarray:
    """From A again to A in five steps; from elsewhere the shortest way to A around B, or to B."""
    at_a = 10 / (1 - 0.9**5)
    at_b = 5 + 0.9 * 0.9**4 * at_a
    values = np.empty((5, 5))
    for row in range(5):
        for column in range(5):
            to_a = row + abs(column - 1)
            if (row, column) == (0, 4):
                to_a += 2
            values[row, column] = max(0.9**to_a * at_a, 0.9 ** (row + abs(column - 3)) * at_b)
    values[0, 3] = at_b  # one cannot walk away from B
    return values.reshape(-1)


JUMPING_PRINTED = """22.0 24.4 22.0 19.4 17.5  19.8 22.0 19.8 17.8 16.0  17.8 19.8 17.8 16.0 14.4
                     16.0 17.8 16.0 14.4 13.0  14.4 16.0 14.4 13.0 11.7"""
JUMPING = Case(
    "jumping-grid",
    "Sutton and Barto 2018, Example 3.8 and Figure 3.5",
    jumping_grid,
    jumping_grid_values(),
    printed=np.array(JUMPING_PRINTED.split(), dtype=float),
    decimals=1,
)


def corner_grid(terminal: np.ndarray | None = None, horizon: int = 4) -> FiniteMDP:
    P, r = np.zeros((16, 4, 16)), np.full((16, 4), -1.0)
    for s in range(16):
        for a, move in enumerate(MOVES):
            row, column, _ = moved(s // 4, s % 4, move, 4)
            P[s, a, s if s in (0, 15) else 4 * row + column] = 1.0
    r[[0, 15]] = 0.0
    return FiniteMDP.from_arrays(P, r, horizon=horizon, terminal=terminal, name="corner grid")


CORNERS = Case(
    "corner-grid",
    "Sutton and Barto 2018, Example 4.1: the distance to the nearer corner",
    corner_grid,
    -np.array([min(s // 4 + s % 4, 6 - s // 4 - s % 4) for s in range(16)], dtype=float),
)


# Sutton and Barto 2018, Example 4.3: the gambler, by bold play


def gambler(goal: int, heads: float, horizon: int) -> FiniteMDP:
    counts, rows, columns, data, rewards = [], [], [], [], []
    pair = 0
    for capital in range(goal + 1):
        stakes = range(1, min(capital, goal - capital) + 1) or range(1)
        counts.append(len(stakes))
        for stake in stakes:
            ends = {capital: 1.0} if stake == 0 else {capital + stake: heads, capital - stake: 1.0 - heads}
            rows += [pair] * len(ends)
            columns += list(ends)
            data += list(ends.values())
            rewards.append(heads if stake and capital + stake == goal else 0.0)
            pair += 1
    kernel = sparse.coo_array((data, (rows, columns)), shape=(pair, goal + 1))
    return FiniteMDP(counts, kernel, rewards, horizon=horizon, name="gambler")


def bold_play(capital: int, goal: int, heads: Fraction, flips: int) -> Fraction:
    """The chance to win within so many flips when everything useful is staked."""
    won, chance = Fraction(0), Fraction(1)
    for _ in range(flips):
        if capital in (0, goal):
            break
        if 2 * capital >= goal:
            won, chance, capital = won + chance * heads, chance * (1 - heads), 2 * capital - goal
        else:
            chance, capital = chance * heads, 2 * capital
    return won


def gambler_case(goal: int, flips: int, name: str) -> Case:
    heads = Fraction(2, 5)
    values = np.array([float(bold_play(s, goal, heads, flips)) for s in range(goal + 1)])
    values[goal] = 0.0  # the reward is paid on arrival
    return Case(name, "Sutton and Barto 2018, Example 4.3: bold play is optimal", lambda: gambler(goal, 0.4, flips), values)


# Control limits: a machine that wears out, and a forest that may burn


def machine(ages: int = 8, gamma: float = 0.95, wear: float = 0.3, cost: float = 12.0) -> FiniteMDP:
    P, r = np.zeros((ages, 2, ages)), np.zeros((ages, 2))
    for age in range(ages):
        P[age, 0, min(age + 1, ages - 1)] += wear
        P[age, 0, age] += 1 - wear
        P[age, 1, 0] = 1.0
        r[age] = 10.0 - 0.5 * age**2, -cost
    return FiniteMDP.from_arrays(P, r, gamma, initial=0, actions=["keep", "replace"], name="machine")


def machine_case(ages: int = 8, gamma: float = 0.95, wear: float = 0.3, cost: float = 12.0) -> Case:
    """Replace from age m on: v(0) is linear in itself through the geometric times at each age; the best m by trying all."""
    stay = 1 - gamma * (1 - wear)
    best = None
    for limit in range(1, ages):
        constant, slope = -cost, gamma
        chain = [(constant, slope)]
        for age in reversed(range(limit)):
            constant = (10.0 - 0.5 * age**2 + gamma * wear * constant) / stay
            slope = gamma * wear * slope / stay
            chain.insert(0, (constant, slope))
        start = chain[0][0] / (1 - chain[0][1])
        if best is None or start > best[0]:
            values = [a + b * start for a, b in chain] + [-cost + gamma * start] * (ages - limit - 1)
            best = (start, limit, np.array(values))
    choice = (np.arange(ages) >= best[1]).astype(int)
    return Case("machine", "control limit, as in Puterman 2005, section 4.7.5", machine, best[2], choice)


def forest() -> FiniteMDP:
    grow = np.array([[0.1, 0.9, 0.0], [0.1, 0.0, 0.9], [0.1, 0.0, 0.9]])
    cut = np.array([[1.0, 0.0, 0.0]] * 3)
    return FiniteMDP.from_arrays(np.stack([grow, cut], axis=1), [[0, 0], [0, 1], [4, 2]], 0.9, name="forest")


def forest_case() -> Case:
    """Never cut: the oldest age is worth 4 more than the one before it."""
    g, p = Fraction(9, 10), Fraction(1, 10)
    # v0 = g (p v0 + (1 - p) v1), v1 = g (p v0 + (1 - p) v2), v2 = 4 + v1
    ratio = g * (1 - p) / (1 - g * p)
    v1 = 4 * g * (1 - p) / (1 - g * (1 - p) - g * p * ratio)
    values = np.array([float(ratio * v1), float(v1), float(4 + v1)])
    source = "the forest of the MDP toolboxes (3 ages, 4, 2, fire 0.1): 26.244, 29.484, 33.484"
    return Case("forest", source, forest, values, np.zeros(3, dtype=int), printed=np.array([26.244, 29.484, 33.484]), decimals=3)


BOOK = (
    *(two_states_case(Fraction(g)) for g in ("0", "1/2", "9/10", "10/11", "19/20", "99/100", "9999/10000")),
    INVENTORY,
    ROBOT,
    JUMPING,
    CORNERS,
    gambler_case(16, 6, "gambler-16"),
    machine_case(),
    forest_case(),
)


# Encodings: the same process written down differently


def as_dense(case: Case) -> FiniteMDP:
    return rebuilt(case.mdp, lambda kernel: kernel.toarray() if sparse.issparse(kernel) else np.array(kernel))


def as_sparse(case: Case) -> FiniteMDP:
    return rebuilt(case.mdp, sparse.csr_array)


def rebuilt(mdp: FiniteMDP, kernel: Callable, **more) -> FiniteMDP:
    given = {"horizon": mdp.horizon, "initial": mdp.initial, "name": mdp.name, "states": mdp.states, "actions": mdp.actions}
    if mdp.horizon is not None:
        given["terminal"] = mdp.terminal
    kernels = [kernel(one) for one in mdp.transition]
    return FiniteMDP(mdp.n_actions, kernels if len(kernels) > 1 else kernels[0], mdp.reward, mdp.gamma, **{**given, **more})


def as_ragged(case: Case) -> FiniteMDP:
    """State s has s mod 3 copies of its first action after its own actions."""
    mdp = case.mdp
    own = [range(int(a), int(b)) for a, b in pairwise(mdp.first)]
    pick = np.array([k for s, pairs in enumerate(own) for k in (*pairs, *[pairs[0]] * (s % 3))])
    kernels = [sparse.csr_array(sparse.csr_array(one)[pick]) for one in mdp.transition]
    terminal = {} if mdp.horizon is None else {"terminal": mdp.terminal}
    return FiniteMDP(
        mdp.n_actions + np.arange(mdp.n_states) % 3,
        kernels if len(kernels) > 1 else kernels[0],
        mdp.reward[..., pick],
        mdp.gamma,
        horizon=mdp.horizon,
        initial=mdp.initial,
        name=mdp.name,
        **terminal,
    )


def as_finite_horizon(case: Case, steps: int = 3) -> FiniteMDP:
    """Some steps with one kernel and one reward each, and the answer as the value of the last state."""
    mdp = case.mdp
    kernels = [sparse.csr_array(mdp.kernel())] * steps if mdp.is_sparse else [np.array(mdp.kernel())] * steps
    rewards = np.tile(mdp.reward, (steps, 1))
    return FiniteMDP(mdp.n_actions, kernels, rewards, mdp.gamma, horizon=steps, terminal=case.values, initial=mdp.initial)


def as_stepwise(case: Case) -> FiniteMDP:
    """One kernel and one reward per step of a process that has a horizon."""
    mdp = case.mdp
    kernels = [mdp.kernel(h) for h in range(mdp.horizon)]
    rewards = np.stack([mdp.reward_at(h) for h in range(mdp.horizon)])
    return FiniteMDP(mdp.n_actions, kernels, rewards, mdp.gamma, horizon=mdp.horizon, terminal=mdp.terminal, initial=mdp.initial)


def _encoded(case: Case) -> list[Case]:
    ways = {"dense": as_dense, "sparse": as_sparse, "ragged": as_ragged}
    ways["horizon" if case.mdp.horizon is None else "stepwise"] = as_finite_horizon if case.mdp.horizon is None else as_stepwise
    return [replace(case, name=f"{case.name}-{way}", build=lambda make=make: make(case)) for way, make in ways.items()]


CASES = tuple(one for case in BOOK for one in _encoded(case))

LARGE_CASES = (gambler_case(100, 80, "gambler-100"),)


RANDOM_PRINTED = """3.3 8.8 4.4 5.3 1.5  1.5 3.0 2.3 1.9 .5  .1 .7 .7 .4 -.4  -1.0 -.4 -.4 -.6 -1.2  -1.9 -1.3 -1.2 -1.4 -2.0"""
CORNER_RANDOM = -np.array([0, 14, 20, 22, 14, 18, 20, 20, 20, 20, 18, 14, 22, 20, 14, 0], dtype=float)


def jumping_random() -> Case:
    """By 25 linear equations; the book prints one decimal."""
    mdp = jumping_grid()
    policy = mdp.uniform_policy()
    chain = np.add.reduceat(mdp.kernel() * policy[:, None], mdp.first[:-1])
    values = np.linalg.solve(np.eye(25) - 0.9 * chain, np.add.reduceat(policy * mdp.reward, mdp.first[:-1]))
    source = "Sutton and Barto 2018, Example 3.5 and Figure 3.2"
    printed = np.array(RANDOM_PRINTED.split(), dtype=float)
    return Case("jumping-grid-random", source, jumping_grid, values, policy=policy, printed=printed, decimals=1)


POLICY_CASES = (
    jumping_random(),
    Case(
        "corner-grid-random",
        "Sutton and Barto 2018, Example 4.1 and Figure 4.1: -14, -20, -22",
        lambda: corner_grid(CORNER_RANDOM, 5),
        CORNER_RANDOM,
        policy=np.full((5, 64), 0.25),
    ),
    Case(
        "two-states-stay",
        "Puterman 2005, Example 3.1.1: (5 - 5.5 g) / ((1 - g / 2)(1 - g)) and -1 / (1 - g)",
        lambda: two_states(0.95),
        np.array([(5 - 5.5 * 0.95) / (0.525 * 0.05), -20.0]),
        policy=np.array([1.0, 0.0, 1.0]),
    ),
)
