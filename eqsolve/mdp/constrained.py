"""Constrained Markov decision processes: the best policy whose expected totals keep within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.backends import Outcome, Termination, solve_program
from eqsolve.backends.base import Backend, Options
from eqsolve.backends.outcome import Limits
from eqsolve.certificates import ProgramCertificate, certify
from eqsolve.errors import BackendFailure
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.programs import LinearConstraint, occupancy_program, reward_of
from eqsolve.mdp.recovery import episodes, occupancy_of, policy_from, value_of
from eqsolve.programs import Program


class InfeasibleMDP(InvalidMDP):
    """No policy keeps to all constraints.

    Parameters
    ----------
    constraints : names of those in conflict.
    certificate : of the program: a checked Farkas ray.
    """

    def __init__(
        self, what: str, remedy: str = "", constraints: tuple[str, ...] = (), certificate: ProgramCertificate | None = None
    ):
        super().__init__(what, remedy)
        self.constraints = constraints
        self.certificate = certificate


@dataclass(frozen=True, slots=True, eq=False)
class ConstrainedSolution:
    """The best policy under constraints.

    Parameters
    ----------
    policy : (K,), with a horizon (H, K); it may have to mix actions, in at most as many states as constraints bind (where the
        backend answers with a vertex).
    value : its expected total reward from the initial distribution.
    totals : the expected total of each constraint by name. multipliers : d(value) / d(bound) by name, 0 where it does not bind.
    program, outcome, certificate : what was solved, what came back, and whether that is right.
    """

    policy: FloatArray
    value: float
    totals: dict[str, float]
    multipliers: dict[str, float]
    program: Program
    outcome: Outcome
    certificate: ProgramCertificate


def solve_constrained(
    mdp: FiniteMDP,
    constraints: Sequence[LinearConstraint],
    backend: str | Backend = "auto",
    *,
    vertex: bool = False,
    limits: Limits | None = None,
    options: Options | None = None,
) -> ConstrainedSolution:
    r"""The policy of largest value whose expected totals keep within bounds.

    .. math:: \max_\pi\ v^\pi(\mu) \quad \text{s.t.} \quad
              l_k \le \mathbb{E}^\pi\Big[\sum_h \gamma^h c_{k,h}(s_h, a_h)\Big] \le u_k

    Parameters
    ----------
    constraints : at least one; see ``LinearConstraint``.
    backend, vertex, limits, options : as in ``solve_program``; HiGHS takes the method that suits the process when no options are
        given.

    Raises
    ------
    InfeasibleMDP : no policy keeps to all constraints; the message names those in conflict by a Farkas ray that was checked.
    InvalidMDP : no constraints, two of one name, or a cost of another shape than the rewards.
    BackendFailure : the backend stopped without an optimal point; the message says why.

    Notes
    -----
    Source: Altman (1999), Constrained Markov Decision Processes, chapters 3 and 4.

    Examples
    --------
    Staying pays 5 a step, leaving pays 10 once; the constraint allows to leave in one episode out of four only.

    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [0.0, 10.0, 0.0], gamma=0.5, initial=0)
    >>> solution = solve_constrained(mdp, [LinearConstraint([0.0, 1.0, 0.0], upper=0.25, name="leaving")])
    >>> round(solution.value, 9), {name: round(price, 9) for name, price in solution.multipliers.items()}
    (2.5, {'leaving': 10.0})
    """
    if isinstance(constraints, Sequence) and not constraints:
        raise InvalidMDP("there are no constraints", "Use solve_occupancy or optimal_policy for a process without any.")
    program = occupancy_program(mdp, constraints=constraints)
    outcome = solve_program(program, backend, vertex=vertex, limits=limits, options=options)
    certificate = certify(program, outcome)
    if outcome.termination is Termination.INFEASIBLE:
        raise _infeasible(mdp, program, constraints, certificate)
    if not outcome.is_optimal or outcome.x is None:
        raise BackendFailure(
            f"backend {outcome.backend!r} gave no optimal point of {program.name!r}: {outcome.termination.value}",
            "\n".join(outcome.notes) or "Try another backend, or a larger limit.",
        )
    visits = occupancy_of(mdp, program, outcome)
    prices = np.zeros(len(constraints)) if outcome.y is None else outcome.y[program.row_block("constraint").slice]
    return ConstrainedSolution(
        policy_from(mdp, program, outcome),
        value_of(program, outcome),
        {one.name: float((one.cost * visits).sum()) for one in constraints},
        {one.name: float(price) for one, price in zip(constraints, prices, strict=True)},
        program,
        outcome,
        certificate,
    )


def _infeasible(
    mdp: FiniteMDP, program: Program, constraints: Sequence[LinearConstraint], certificate: ProgramCertificate
) -> InfeasibleMDP:
    """The error that names the constraints in conflict."""
    block = program.row_block("constraint")
    farkas = certificate.farkas
    if farkas is None or not farkas.proven:
        return InfeasibleMDP(
            f"the backend finds no policy that keeps to all {len(constraints)} constraints, but that is not proven",
            "Solve again with another backend, or relax a bound.",
            (),
            certificate,
        )
    at = [i - block.start for i in farkas.rows if block.start <= i < block.stop]
    ray = farkas.ray
    assert ray is not None
    bounds = [_side(constraints[k], float(ray[block.start + k])) for k in at]
    names = tuple(constraints[k].name for k in at)
    if len(at) == 1:
        one, above = constraints[at[0]], ray[block.start + at[0]] > 0
        best = _extreme(mdp, one, largest=bool(above))
        word, limit = ("at most", best) if above else ("at least", best)
        what = f"no policy keeps to constraint {bounds[0]}: the total is {word} {limit:.6g} under every policy"
        return InfeasibleMDP(what, "Relax this bound.", names, certificate)
    what = f"no policy keeps to all of these constraints: {', '.join(bounds)}"
    return InfeasibleMDP(what, f"Relax one of them (proven by a Farkas ray with margin {farkas.margin:.3g}).", names, certificate)


def _side(constraint: LinearConstraint, weight: float) -> str:
    return f"{constraint.name!r} >= {constraint.lower:.6g}" if weight > 0 else f"{constraint.name!r} <= {constraint.upper:.6g}"


def _extreme(mdp: FiniteMDP, constraint: LinearConstraint, *, largest: bool) -> float:
    """The largest or least expected total of any policy."""
    program = reward_of(mdp, constraint.cost, "max" if largest else "min")
    outcome = solve_program(program, "native")
    assert outcome.objective is not None
    return outcome.objective / episodes(program)
