"""Occupancy programs and their duals solved exactly by dynamic programming."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import BackendUnsupported
from eqsolve.mdp.advice import advised_options
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.recovery import best_pairs, policy_of
from eqsolve.programs import Program, StructureAnswer

SWEEPS = 1_000
"""Improvements of modified policy iteration, after which exact policy iteration takes over."""
ROUNDING = 2e-14
"""Advantage of an action, relative to the largest value, that counts as rounding."""
UNIT = 2.0**-53
ROUNDS = 50
"""Exact policies looked at; by then all that is left to gain is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Occupancy:
    """The structure of ``occupancy_program``: rewards are read off the objective, first states off the right-hand sides.

    Parameters
    ----------
    mdp : the process whose kernels and discount the rows have.
    """

    mdp: FiniteMDP

    @property
    def name(self) -> str:
        """The form's name."""
        return "occupancy"

    def refuses(self, program: Program) -> str | None:
        """Why a program is not of the form, or None."""
        trouble = _shape_trouble(self.mdp, program, program.n_rows, program.n_columns, program.A @ _probe(program.n_columns), False)
        if trouble:
            return trouble
        if (program.row_lower != program.row_upper).any():
            return "a flow row is not an equality"
        if (program.row_lower < 0).any():
            return f"row {program.row_name(int(np.argmax(program.row_lower < 0)))} has a negative right-hand side"
        most = _visits_at_most(self.mdp, program.row_lower)
        if (program.col_lower != 0).any() or (program.col_upper.reshape(most.shape[0], -1) <= most).any():
            return "a column has bounds that are not 0 and more than all visits"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """The visits of an optimal policy (a vertex), and the optimal values as duals."""
        sign = 1.0 if program.sense == "max" else -1.0
        found = _solve(self.mdp, sign * program.c, program.row_lower)
        return StructureAnswer("optimal", found.visits, sign * found.values, iterations=found.iterations, is_vertex=True)

    def purify(self, program: Program, x: FloatArray) -> FloatArray:
        """The visits of a deterministic policy that is no worse than that of a point: one improvement of its policy."""
        mdp = self.mdp
        process = _with(mdp, program.c if program.sense == "max" else -program.c)
        d = np.maximum(x, 0.0).reshape(mdp.n_steps, mdp.n_pairs)
        policy = policy_of(mdp, d if mdp.horizon is not None else d[0], fallback=mdp.uniform_policy())
        return _visits(mdp, _improved(process, policy), program.row_lower)

    def advice(self, backend: str, *, vertex: bool) -> Mapping[str, object]:
        """As ``Advised``; no crossover even for a vertex, since ``purify`` is faster."""
        return advised_options(self.mdp, backend)


@dataclass(frozen=True, slots=True, eq=False)
class ConstrainedOccupancy:
    """The structure of ``occupancy_program`` with constraints: no exact method is known here, but which solvers do well is.

    Parameters
    ----------
    mdp : the process whose kernels and discount the flow rows have.
    """

    mdp: FiniteMDP

    @property
    def name(self) -> str:
        """The form's name."""
        return "constrained occupancy"

    def refuses(self, program: Program) -> str | None:
        """Every program."""
        return "it has constraints beyond the flow of visits"

    def solve(self, program: Program) -> StructureAnswer:
        """Nothing: there is no method.

        Raises
        ------
        BackendUnsupported : always.
        """
        raise BackendUnsupported(f"program {program.name!r} has constraints beyond the flow of visits", "Use a solver.")

    def advice(self, backend: str, *, vertex: bool) -> Mapping[str, object]:
        """As ``Advised``."""
        return advised_options(self.mdp, backend, crossover=vertex)


@dataclass(frozen=True, slots=True, eq=False)
class StateValues:
    """The structure of ``value_program``: rewards are read off the rows, first states off the objective.

    Parameters
    ----------
    mdp : the process whose kernels and discount the rows have.
    """

    mdp: FiniteMDP

    @property
    def name(self) -> str:
        """The form's name."""
        return "state values"

    def refuses(self, program: Program) -> str | None:
        """Why a program is not of the form, or None."""
        trouble = _shape_trouble(self.mdp, program, program.n_columns, program.n_rows, program.A.T @ _probe(program.n_rows), True)
        if trouble:
            return trouble
        if program.sense != "min" or (program.c < 0).any():
            return "it is not to minimise a sum of values with weights of at least 0"
        if np.isfinite(program.row_upper).any() or not np.isfinite(program.row_lower).all():
            return "a row does not have a lower bound alone"
        low, high = value_ends(self.mdp, program.row_lower)
        if (program.col_lower >= low).any() or (program.col_upper <= high).any():
            return "a column has bounds that values may reach"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """The optimal values (a vertex), and the visits of an optimal policy as duals."""
        found = _solve(self.mdp, program.row_lower, program.c)
        return StructureAnswer("optimal", found.values, found.visits, iterations=found.iterations, is_vertex=True)

    def advice(self, backend: str, *, vertex: bool) -> Mapping[str, object]:
        """As ``Advised``."""
        return advised_options(self.mdp, backend, crossover=vertex)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """(n_steps S,) values and (n_steps K,) visits of an optimal policy."""

    values: FloatArray
    visits: FloatArray
    iterations: int


def _solve(mdp: FiniteMDP, reward: FloatArray, supply: FloatArray) -> _Found:
    """Modified policy iteration as far as rounding allows, and policy iteration where that leaves something to gain."""
    from eqsolve.mdp.native import optimal_policy

    process = _with(mdp, reward)
    if mdp.horizon is not None:
        solution = optimal_policy(process, "backward_induction")
        values = _lifted(mdp, reward, solution.values[:-1].reshape(-1))
        return _Found(values, _visits(mdp, solution.pairs, supply), solution.iterations)
    from eqsolve.mdp.linear import PolicySystem

    swept = optimal_policy(process, "modified_policy_iteration", 0.0, limit=SWEEPS)
    values, pairs, iterations, kernel = swept.values, swept.pairs, swept.iterations, mdp.kernel()
    system = None
    for _ in range(ROUNDS):
        q = reward + mdp.gamma * (kernel @ values)
        best, doubt = best_pairs(mdp, q), ROUNDING * float(np.abs(values).max())
        better = q[best] > np.maximum(values, q[pairs]) + doubt
        if not better.any() and (system is not None or np.abs(q[pairs] - values).max() <= doubt):
            break
        pairs = np.where(better, best, pairs)
        system = PolicySystem.of(kernel[pairs], mdp.gamma)
        values, iterations = system.solve(reward[pairs]), iterations + 1
    system = system or PolicySystem.of(kernel[pairs], mdp.gamma)
    visits = _spread(mdp, pairs, system.solve(supply, transposed=True))
    return _Found(_lifted(mdp, reward, values), visits, iterations)


def _lifted(mdp: FiniteMDP, reward: FloatArray, values: FloatArray) -> FloatArray:
    """The values raised by about their rounding, so that they satisfy every Bellman row beyond doubt.

    A row that rounding violates would cost the rigorous bound its violation times all visits there are, in every column.
    """
    kernel = mdp.kernel()
    terms = mdp.n_states if isinstance(kernel, np.ndarray) else int(np.diff(kernel.indptr).max())
    share = min((2 * terms + 18) * UNIT, ROUNDING)
    size = np.abs(reward) + 2.0 * float(np.abs(values).max())
    if mdp.horizon is not None:
        return values + share * float(size.max()) * np.repeat(np.arange(mdp.horizon, 0, -1.0), mdp.n_states)
    short = reward + mdp.gamma * (kernel @ values) - np.repeat(values, mdp.n_actions) + share * size
    return values + max(float(short.max()), 0.0) / (1.0 - mdp.gamma * row_sums(mdp)[1])


def _with(mdp: FiniteMDP, reward: FloatArray) -> FiniteMDP:
    """The process with rewards (n_steps K,) that hold the terminal value already."""
    process = mdp.with_reward(reward.reshape(mdp.policy_shape()))
    if mdp.horizon is not None and mdp.terminal.any():
        process = copy(process)
        object.__setattr__(process, "terminal", np.zeros(mdp.n_states))
    return process


def _visits(mdp: FiniteMDP, pairs: IntArray, supply: FloatArray) -> FloatArray:
    """(n_steps K,) discounted visits of a deterministic policy from sources (n_steps S,)."""
    from eqsolve.mdp.linear import PolicySystem

    if mdp.horizon is None:
        return _spread(mdp, pairs, PolicySystem.of(mdp.kernel()[pairs], mdp.gamma).solve(supply, transposed=True))
    source = supply.reshape(mdp.n_steps, mdp.n_states)
    d = np.zeros((mdp.n_steps, mdp.n_pairs))
    here = source[0]
    for h in range(mdp.horizon):
        d[h, pairs[h]] = here
        if h + 1 < mdp.horizon:
            here = source[h + 1] + mdp.gamma * (mdp.kernel(h)[pairs[h]].T @ here)
    return d.reshape(-1)


def _spread(mdp: FiniteMDP, pairs: IntArray, visits: FloatArray) -> FloatArray:
    """(K,) visits of states (S,) at the pairs that are played there."""
    d = np.zeros(mdp.n_pairs)
    d[pairs] = np.maximum(visits, 0.0)
    return d


def _improved(process: FiniteMDP, policy: FloatArray) -> IntArray:
    """Pairs (S,) or (H, S) that are best against the values of a policy; what they earn is no less than what it earns."""
    from eqsolve.mdp.evaluation import evaluate, q_values

    q = q_values(process, evaluate(process, policy))
    return best_pairs(process, np.asarray(q))


def _probe(length: int) -> FloatArray:
    """Weights that tell one matrix from another in one product."""
    return np.cos(np.arange(length, dtype=np.float64))


def _shape_trouble(mdp: FiniteMDP, program: Program, states: int, pairs: int, product: FloatArray, transposed: bool) -> str | None:
    """Why rows and columns are not those of the process, or None; ``product`` is the flow matrix (M, N) times the probe."""
    if program.kind != "LP":
        return f"it is of kind {program.kind}, not LP"
    if states != mdp.n_steps * mdp.n_states or pairs != mdp.n_steps * mdp.n_pairs:
        side = "columns and rows" if transposed else "rows and columns"
        return f"it has other {side} than the states and the pairs of the process"
    weights = _probe(pairs).reshape(mdp.n_steps, mdp.n_pairs)
    expected = np.add.reduceat(weights, mdp.first[:-1], axis=-1)
    if mdp.horizon is None:
        expected[0] -= mdp.gamma * (mdp.kernel().T @ weights[0])
    for h in range(mdp.n_steps - 1):
        expected[h + 1] -= mdp.gamma * (mdp.kernel(h).T @ weights[h])
    if np.abs(product - expected.reshape(-1)).max() > 1e-9 * mdp.n_pairs:
        return "its coefficients are not those of the process"
    return None


def _visits_at_most(mdp: FiniteMDP, supply: FloatArray) -> FloatArray:
    """(n_steps, 1) all visits of a step."""
    if mdp.horizon is None:
        return np.full((1, 1), float(supply.sum()) / (1.0 - mdp.gamma))
    most = np.zeros((mdp.horizon, 1))
    for h, arriving in enumerate(supply.reshape(mdp.horizon, -1).sum(axis=1)):
        most[h] = arriving + (mdp.gamma * most[h - 1] if h else 0.0)
    return most


def row_sums(mdp: FiniteMDP) -> tuple[float, float]:
    """The least and the largest sum of a transition row: 1 up to 1e-9, which matters where the discount is as close to 1.

    Raises
    ------
    InvalidMDP : without a horizon, the discount times the largest is not below 1.
    """
    sums = [np.asarray(kernel.sum(axis=1)) for kernel in mdp.transition]
    least, most = min(float(one.min()) for one in sums), max(float(one.max()) for one in sums)
    if mdp.horizon is None and mdp.gamma * most >= 1.0:
        raise InvalidMDP(
            f"gamma times the largest sum of a transition row is {mdp.gamma * most:.17g}, not below 1: the values may be infinite",
            "Divide the rows by their sums before building the process, or lower gamma.",
        )
    return least, most


def value_bounds(mdp: FiniteMDP, reward: FloatArray) -> tuple[float, float]:
    """Bounds a little beyond ``value_ends``, so that neither the values nor what they are lifted by ever reach them."""
    low, high = value_ends(mdp, reward)
    share = 1e-6 + (0.0 if mdp.horizon is not None else 8.0 * ROUNDING / (1.0 - mdp.gamma * row_sums(mdp)[1]))
    room = 1.0 + (high - low) + share * max(abs(low), abs(high))
    return low - room, high + room


def value_ends(mdp: FiniteMDP, reward: FloatArray) -> tuple[float, float]:
    """What no value of any policy is below or above, at any step; rewards (n_steps K,) hold the terminal value already."""
    steps = reward.reshape(mdp.n_steps, mdp.n_pairs)
    rates = tuple(mdp.gamma * one for one in row_sums(mdp))
    if mdp.horizon is None:
        low, high = float(steps.min()), float(steps.max())
        return low / (1.0 - rates[low < 0]), high / (1.0 - rates[high > 0])
    low = high = least = most = 0.0
    for step in steps[::-1]:
        low, high = float(step.min()) + rates[low < 0] * low, float(step.max()) + rates[high > 0] * high
        least, most = min(least, low), max(most, high)
    return least, most
