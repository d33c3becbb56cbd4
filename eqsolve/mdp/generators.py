"""Standard decision processes: grids, random kernels, a forest that may burn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray, real_number, whole_number
from eqsolve.mdp.model import FiniteMDP, InvalidMDP

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
DIRECTIONS = ("north", "east", "south", "west")

Cell = tuple[int, int]


def grid_world(
    rows: int,
    columns: int,
    gamma: float | None = 0.95,
    *,
    goals: Mapping[Cell, float] | None = None,
    walls: Iterable[Cell] = (),
    step_reward: float = 0.0,
    slip: float = 0.2,
    horizon: int | None = None,
    initial: Cell | None = None,
) -> FiniteMDP:
    """A grid with four moves that go astray with some probability; a move against a wall or the edge stays.

    Parameters
    ----------
    rows, columns : the size; the state of cell (row, column) is ``row * columns + column``.
    gamma : discount; None needs a ``horizon``.
    goals : absorbing cells and the reward of arriving there; the last cell with reward 1 when left out.
    walls : cells that cannot be entered; they are states of their own that lead nowhere.
    step_reward : reward of every move that starts outside a goal or wall, in reward units.
    slip : probability that the move goes in one of the other three directions, equally likely, in [0, 1].
    horizon, initial : as in ``FiniteMDP``; the first cell, uniform over all cells when left out.

    Returns
    -------
    FiniteMDP with rows x columns states, the actions north, east, south, west and a sparse kernel of at most 5 entries per row.

    Raises
    ------
    InvalidMDP : an empty grid, a cell outside it or both goal and wall, a probability out of range.

    Examples
    --------
    >>> grid_world(100, 100, 0.99)
    <FiniteMDP 'grid 100 x 100': 10,000 states, 40,000 state-action pairs, discount 0.99, sparse>
    """
    height, width = whole_number("rows", rows, 1, InvalidMDP), whole_number("columns", columns, 1, InvalidMDP)
    slip = _probability("slip", slip)
    S = height * width
    prizes = {(height - 1, width - 1): 1.0} if goals is None else goals
    goal = _cells("goals", prizes, (height, width))
    wall = _cells("walls", walls, (height, width))
    both = np.intersect1d(goal, wall)
    if both.size:
        raise InvalidMDP(f"cell {divmod(int(both[0]), width)} is both a goal and a wall")
    prize = np.zeros(S)
    prize[goal] = [real_number(f"goals[{cell}]", value, error=InvalidMDP) for cell, value in prizes.items()]
    blocked, absorbing = np.zeros(S, dtype=bool), np.zeros(S, dtype=bool)
    blocked[wall] = True
    absorbing[np.concatenate((goal, wall))] = True

    state = np.arange(S)
    row, column = np.divmod(state, width)
    ends = np.empty((S, 4), dtype=np.int64)
    for a, (down, right) in enumerate(MOVES):
        to_row, to_column = row + down, column + right
        inside = (to_row >= 0) & (to_row < height) & (to_column >= 0) & (to_column < width)
        to = np.where(inside, to_row * width + to_column, state)
        ends[:, a] = np.where(blocked[to] | absorbing, state, to)
    chance = np.full((4, 4), slip / 3.0) + np.eye(4) * (1.0 - slip - slip / 3.0)
    from_pair = np.repeat(np.arange(4 * S), 4)
    data = np.broadcast_to(chance, (S, 4, 4)).reshape(-1)
    kernel = sparse.csr_array((data, (from_pair, np.repeat(ends, 4, axis=0).reshape(-1))), shape=(4 * S, S))
    reward = real_number("step_reward", step_reward, error=InvalidMDP) + prize[ends] @ chance.T
    reward[absorbing] = 0.0
    start = None if initial is None else int(_cells("initial", [initial], (height, width))[0])
    name = f"grid {height} x {width}"
    return FiniteMDP(
        np.full(S, 4), kernel, reward.reshape(-1), gamma, horizon=horizon, initial=start, name=name, actions=DIRECTIONS
    )


def random_mdp(
    states: int,
    actions: int,
    successors: int,
    gamma: float | None = 0.95,
    *,
    seed: int | np.random.Generator,
    ragged: bool = False,
    dense: bool = False,
    horizon: int | None = None,
    stationary: bool = True,
) -> FiniteMDP:
    """Random successors with flat Dirichlet probabilities and rewards uniform in [0, 1].

    Parameters
    ----------
    states, actions : S and the number of actions; with ``ragged`` each state has from 1 to ``actions`` of them.
    successors : next states drawn per pair, with replacement, at most S; those drawn twice count once with both probabilities.
    seed : a whole number or a generator; the same seed gives the same process.
    dense : a dense kernel instead of a sparse one.
    stationary : with a horizon, False gives every step its own kernel and rewards.

    Raises
    ------
    InvalidMDP : a size below 1, more successors than states.

    Examples
    --------
    >>> random_mdp(1000, 5, 20, seed=0)
    <FiniteMDP 'random': 1,000 states, 5,000 state-action pairs, discount 0.95, sparse>
    """
    S, A = whole_number("states", states, 1, InvalidMDP), whole_number("actions", actions, 1, InvalidMDP)
    n = whole_number("successors", successors, 1, InvalidMDP, most=S)
    rng = random_generator("seed", seed)
    counts = rng.integers(1, A + 1, S) if ragged else np.full(S, A)
    K = int(counts.sum())
    if stationary or horizon is None:
        kernel = _random_kernel(rng, K, S, n, dense)
        return FiniteMDP(counts, kernel, rng.random(K), gamma, horizon=horizon, name="random")
    H = whole_number("horizon", horizon, 1, InvalidMDP)
    kernels = [_random_kernel(rng, K, S, n, dense) for _ in range(H)]
    return FiniteMDP(counts, kernels, rng.random((H, K)), gamma, horizon=H, name="random")


def forest(ages: int = 3, gamma: float | None = 0.9, *, old: float = 4.0, cut: float = 2.0, fire: float = 0.1) -> FiniteMDP:
    """A forest that grows older unless it burns: wait (earns ``old`` at the last age) or cut (earns 1, at the last age ``cut``).

    The example of the MDP toolboxes (Chades et al. 2014). States are the ages; both fire and cutting lead to age 0, where cutting
    earns nothing.

    Raises
    ------
    InvalidMDP : fewer than 2 ages, a probability of fire outside [0, 1].

    Examples
    --------
    >>> forest().reward
    array([0., 0., 0., 1., 4., 2.])
    """
    S = whole_number("ages", ages, 2, InvalidMDP)
    p = _probability("fire", fire)
    age = np.arange(S)
    grown = np.minimum(age + 1, S - 1)
    rows = np.concatenate((2 * age, 2 * age, 2 * age + 1))
    columns = np.concatenate((np.zeros(S, dtype=np.int64), grown, np.zeros(S, dtype=np.int64)))
    kernel = sparse.csr_array((np.repeat([p, 1.0 - p, 1.0], S), (rows, columns)), shape=(2 * S, S))
    reward = np.zeros((S, 2))
    reward[1:, 1] = 1.0
    reward[-1] = real_number("old", old, error=InvalidMDP), real_number("cut", cut, error=InvalidMDP)
    return FiniteMDP(np.full(S, 2), kernel, reward.reshape(-1), gamma, name="forest", actions=("wait", "cut"))


def random_generator(name: str, given: np.random.Generator | int) -> np.random.Generator:
    """A generator, given as such or by its seed.

    Raises
    ------
    InvalidMDP : neither a generator nor a whole number of at least 0.
    """
    return given if isinstance(given, np.random.Generator) else np.random.default_rng(whole_number(name, given, 0, InvalidMDP))


def _random_kernel(rng: np.random.Generator, K: int, S: int, n: int, dense: bool) -> FloatArray | sparse.csr_array:
    weight = rng.standard_exponential((K, n))
    weight /= weight.sum(axis=1, keepdims=True)
    to = rng.integers(0, S, (K, n))
    kernel = sparse.csr_array((weight.reshape(-1), (np.repeat(np.arange(K), n), to.reshape(-1))), shape=(K, S))
    return kernel.toarray() if dense else kernel


def _probability(name: str, value: float) -> float:
    p = real_number(name, value, least=0.0, error=InvalidMDP)
    if p > 1.0:
        raise InvalidMDP(f"{name} is {p:g}, not a probability")
    return p


def _cells(name: str, cells: Iterable[Cell], shape: tuple[int, int]) -> IntArray:
    found = []
    for cell in cells:
        try:
            row, column = cell
        except (TypeError, ValueError) as cause:
            raise InvalidMDP(f"{name} has {cell!r}, not a cell (row, column)") from cause
        row, column = (whole_number(f"{name} {cell!r}", part, 0, InvalidMDP) for part in (row, column))
        if row >= shape[0] or column >= shape[1]:
            raise InvalidMDP(f"{name} has the cell {(row, column)}, outside the grid of {shape[0]} x {shape[1]}")
        found.append(row * shape[1] + column)
    return np.array(found, dtype=np.int64)
