"""The linear programs of a finite Markov decision process: occupancies, values, visits of one state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, whole_number
from eqsolve.mdp.flow import Flow, pair_axes, state_axes
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.occupancy import ConstrainedOccupancy, Occupancy, StateValues, value_bounds
from eqsolve.programs import Program, ProgramBuilder, ProgramFamily, Update
from eqsolve.programs.program import Sense


@dataclass(frozen=True, slots=True, eq=False)
class LinearConstraint:
    r"""A bound on an expected total: :math:`l \le \mathbb{E}[\sum_h \gamma^h c_h(s_h, a_h)] \le u` from the initial distribution.

    Parameters
    ----------
    cost : (K,) per state-action pair; with a horizon also (H, K).
    lower, upper : in the units of the total, which is not normalised by 1 - gamma; infinite where there is none.
    name : what its row ``constraint[name]`` is called.

    Raises
    ------
    InvalidMDP : neither bound is finite, they are crossed, or there is no name.
    """

    cost: FloatArray
    lower: float = -np.inf
    upper: float = np.inf
    name: str = "cost"

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "cost", float_array(f"cost of constraint {self.name!r}", self.cost, error=InvalidMDP))
        for side in ("lower", "upper"):
            value = float_array(
                f"{side} bound of constraint {self.name!r}", getattr(self, side), (), infinite=True, error=InvalidMDP
            )
            put(self, side, float(value))
        if not isinstance(self.name, str) or not self.name:
            raise InvalidMDP(f"a constraint is called {self.name!r}", "Give it a name: some text.")
        if self.lower > self.upper or self.lower == np.inf or self.upper == -np.inf:
            raise InvalidMDP(f"bounds of constraint {self.name!r} are crossed: lower {self.lower:g}, upper {self.upper:g}")
        if self.lower == -np.inf and self.upper == np.inf:
            raise InvalidMDP(f"constraint {self.name!r} has no bound", "Give lower, upper or both.")


def occupancy_program(mdp: FiniteMDP, *, scaled: bool = True, constraints: Sequence[LinearConstraint] = ()) -> Program:
    r"""The linear program over discounted visits ``d[state, action]``, with a horizon ``d[step, state, action]``.

    .. math:: \max_{d \ge 0}\ \sum_{s, a} r(s, a)\, d(s, a) \quad \text{s.t.} \quad
              \sum_a d(s, a) - \gamma \sum_{s', a'} P(s \mid s', a')\, d(s', a') = \kappa\, \mu(s)

    Its columns are expected visits of ``kappa`` episodes that run at once, a visit at step h counting gamma^h, and are not
    normalised: without a horizon they sum to kappa / (1 - gamma). Its objective is kappa times the value, and the duals of
    its rows are the values of the states themselves. Unscaled, right-hand sides of 1/S are within a few orders of the
    tolerances of solvers; kappa = 1 / max(mu) makes the largest one 1. ``occupancy_of``, ``policy_of`` and ``value_of`` lead back.

    Parameters
    ----------
    scaled : kappa = 1 / max(initial); 1 otherwise.
    constraints : bounds on further expected totals, rows ``constraint[name]`` (a constrained process), also times kappa.

    Returns
    -------
    Program with the structure ``Occupancy``, which ``native`` solves; with constraints ``ConstrainedOccupancy``, which it does not.

    Raises
    ------
    InvalidMDP : a constraint whose cost has another shape than the rewards, two of one name, or no list of them.

    Notes
    -----
    Every column is bounded by twice the visits there are, so that a rigorous bound from any duals costs O(nnz). Source:
    Puterman (2005), section 6.9.

    Examples
    --------
    >>> import numpy as np
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9)
    >>> program = occupancy_program(mdp)
    >>> print(program)
    occupancy   LP, maximise                                                                                       scale 2
      columns    d[state, action]  2 x 1..2   in [0, 40]
      rows       flow[state]       2          a'd (2 terms a row, a in -0.9..1) = 1
      objective  sum_ij c_ij d[i, j]   3 terms, |c| in 1..10
      structure  occupancy
    >>> program.row("flow", 0)
    'flow[0]: 0.1 d[0, 0] + d[0, 1] = 1'
    """
    if not isinstance(constraints, Sequence) or not all(isinstance(one, LinearConstraint) for one in constraints):
        raise InvalidMDP("constraints is not a list of LinearConstraint", "Give a list, of one as well.")
    flow = Flow.of(mdp, scaled=scaled)
    builder = ProgramBuilder("constrained occupancy" if constraints else "occupancy", sense="max")
    d = flow.columns(builder, "d")
    flow.rows(builder, d)
    builder.objective(d, flow.reward)
    if constraints:
        costs, lower, upper, names = _constraint_rows(mdp, constraints)
        axes = builder.rows(
            "constraint", (len(names),), axes=("name",), labels=(names,), lower=flow.scale * lower, upper=flow.scale * upper
        )
        builder.add(axes, d, costs)
    structure = ConstrainedOccupancy(mdp) if constraints else Occupancy(mdp)
    return builder.build(structure=structure, note=f"scale {flow.scale:.6g}")


def value_program(mdp: FiniteMDP, *, scaled: bool = True) -> Program:
    r"""The linear program over values ``v[state]``, with a horizon ``v[step, state]``: the dual of ``occupancy_program``.

    .. math:: \min_v\ \kappa \sum_s \mu(s)\, v(s) \quad \text{s.t.} \quad
              v(s) - \gamma \sum_{s'} P(s' \mid s, a)\, v(s') \ge r(s, a)

    Its objective is kappa times the value, and the duals of its rows ``bellman[state, action]`` are the columns of
    ``occupancy_program``. A state that no episode can visit may have any value that satisfies the rows.

    Parameters
    ----------
    scaled : as in ``occupancy_program``.

    Notes
    -----
    The columns have bounds that the rewards imply, a little wider, so that they never bind. Source: Puterman (2005), section 6.9.
    """
    flow = Flow.of(mdp, scaled=scaled)
    builder = ProgramBuilder("values", sense="min")
    shape, axes, labels = state_axes(mdp)
    low, high = value_bounds(mdp, flow.reward)
    v = builder.columns("v", shape, axes=axes, labels=labels, lower=low, upper=high)
    sides, counts, axes, labels = pair_axes(mdp)
    bellman = builder.rows("bellman", sides, counts=counts, axes=axes, labels=labels, lower=flow.reward)
    builder.add(bellman, v, flow.matrix.T)
    builder.objective(v, flow.supply)
    return builder.build(structure=StateValues(mdp), note=f"scale {flow.scale:.6g}")


def reward_of(mdp: FiniteMDP, cost: npt.ArrayLike, sense: Sense = "max") -> Program:
    """The occupancy program of other rewards, (K,) or (H, K), without terminal values: the largest or least expected total."""
    costs = np.broadcast_to(float_array("cost", cost, error=InvalidMDP), (mdp.n_steps, mdp.n_pairs))
    program = replace(occupancy_program(mdp), name=f"{sense} total", sense=sense)
    return program.with_values(Update(c=costs.reshape(-1)))


def visitation_program(mdp: FiniteMDP, state: int | str, sense: Sense = "max", *, step: int | None = None) -> Program:
    """The occupancy program whose objective is how often one state is visited, discounted as the values are.

    Parameters
    ----------
    state : its number or label.
    sense : "max" over all policies, or "min".
    step : with a horizon, visits at that step only; all steps otherwise.

    Raises
    ------
    UnknownName : there is no such state.
    InvalidMDP : ``step`` is given without a horizon, or out of range.
    """
    family = VisitationFamily(mdp, sense, step=step)
    return family[mdp.state_number(state)]


class VisitationFamily(ProgramFamily):
    """``visitation_program`` of every state; they differ in the objective only.

    Parameters
    ----------
    mdp : the process; its rewards play no part.
    sense, step : as in ``visitation_program``.
    """

    def __init__(self, mdp: FiniteMDP, sense: Sense = "max", *, step: int | None = None) -> None:
        if sense not in ("max", "min"):
            raise InvalidMDP(f"sense is {sense!r}, not 'max' or 'min'")
        if step is not None and mdp.horizon is None:
            raise InvalidMDP(f"step {step} is given, but there is no horizon", "Leave step out.")
        self.mdp = mdp
        self.step = None if step is None else whole_number("step", step, 0, InvalidMDP, most=mdp.n_steps - 1)
        self._base = replace(occupancy_program(mdp), name=f"{sense} visits", sense=sense)

    @property
    def base(self) -> Program:
        """The program with the rewards of the process as its objective."""
        return self._base

    @property
    def size(self) -> int:
        """S."""
        return self.mdp.n_states

    def update(self, i: int) -> Update:
        """1 for every visit of state i."""
        mdp = self.mdp
        c = np.zeros((mdp.n_steps, mdp.n_pairs))
        c[slice(None) if self.step is None else self.step, mdp.first[i] : mdp.first[i + 1]] = 1.0
        when = "" if self.step is None else f", step {self.step}"
        return Update(c=c.reshape(-1), note=f"state {mdp.state_label(i)}{when}, {self._base.note}")


def _constraint_rows(
    mdp: FiniteMDP, constraints: Sequence[LinearConstraint]
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[str, ...]]:
    """(m, n_steps K) costs, (m,) bounds, and the names."""
    names = tuple(one.name for one in constraints)
    for name in names:
        if names.count(name) > 1:
            raise InvalidMDP(f"two constraints are called {name!r}")
    costs = np.empty((len(names), mdp.n_steps, mdp.n_pairs))
    for k, one in enumerate(constraints):
        shapes = {(mdp.n_pairs,)} | ({(mdp.horizon, mdp.n_pairs)} if mdp.horizon is not None else set())
        if one.cost.shape not in shapes:
            wanted = " or ".join(" x ".join(map(str, shape)) for shape in sorted(shapes, key=len))
            found = " x ".join(map(str, one.cost.shape)) or "scalar"
            raise InvalidMDP(f"cost of constraint {one.name!r} has shape {found}, expected {wanted}")
        costs[k] = one.cost
    lower, upper = np.asarray([one.lower for one in constraints]), np.asarray([one.upper for one in constraints])
    return costs.reshape(len(names), -1), lower, upper, names
