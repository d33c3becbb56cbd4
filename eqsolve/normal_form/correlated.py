"""Correlated and coarse correlated equilibria, selected by welfare, a weight per profile, entropy or Gini."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, frozen
from eqsolve.backends import Limits, Outcome, get_backend, solve_program
from eqsolve.backends.base import Backend, Options
from eqsolve.certificates import GapCertificate
from eqsolve.errors import BackendFailure
from eqsolve.normal_form.game import NormalFormGame
from eqsolve.normal_form.programs import correlated_program, support_program
from eqsolve.normal_form.regret import Correlated, correlated_gap
from eqsolve.normal_form.solved import Solved
from eqsolve.programs import Program
from eqsolve.programs.program import Sense

FIRST_ORDER = "cvxpy:SCS"
MANY = 100
"""Profiles from which ``auto`` prefers an interior point for the largest Gini."""


@dataclass(frozen=True, eq=False)
class CorrelatedEquilibrium(Solved):
    """A (coarse) correlated equilibrium with what is known of it.

    Parameters
    ----------
    game : the game.
    concept : ``"CE"`` or ``"CCE"``.
    distribution : (m_1, ..., m_N) over profiles; negative rounding is cut off and the rest divided by its sum.
    value : the objective at ``distribution``.
    payoffs : (N,) expected payoffs.
    gap : the exact gap of ``distribution``, from the payoffs alone.
    outcome : what the backend answered.
    """

    game: NormalFormGame
    concept: Correlated
    distribution: FloatArray
    value: float
    payoffs: FloatArray
    gap: GapCertificate
    outcome: Outcome
    _program: Program = field(repr=False)

    def support(self, threshold: float = 1e-9) -> list[tuple[tuple[int, ...], float]]:
        """Profiles with probability above a threshold, the likeliest first."""
        flat = self.distribution.reshape(-1)
        order = np.flatnonzero(flat > threshold)
        order = order[np.argsort(-flat[order], kind="stable")]
        return [(tuple(int(k) for k in np.unravel_index(p, self.game.shape)), float(flat[p])) for p in order.tolist()]

    def __str__(self) -> str:
        found = self.support()
        shown = ", ".join(f"{self.game.profile_label(profile)} {chance:.4g}" for profile, chance in found[:6])
        more = f" and {len(found) - 6:,} more" if len(found) > 6 else ""
        solver = f"{self.outcome.backend} {self.outcome.version}"
        return "\n".join(
            [
                f"{self._program.name} of {self.game.name}   value {self.value:.6g}   {solver}",
                f"  plays      {shown}{more}",
                f"  payoffs    {', '.join(f'{one:.6g}' for one in self.payoffs)}",
                f"  gap        {self.gap}",
            ]
        )


def correlated_equilibrium(
    game: NormalFormGame,
    concept: Correlated = "CE",
    objective: Any = "welfare",
    *,
    sense: Sense = "max",
    epsilon: npt.ArrayLike = 0.0,
    backend: str | Backend = "auto",
    limits: Limits | None = None,
    options: Options | None = None,
) -> CorrelatedEquilibrium:
    """The best (coarse) correlated equilibrium of a game; see ``correlated_program`` for concept, objective, sense and epsilon.

    Parameters
    ----------
    backend : ``"auto"`` is ``native`` for linear objectives (sifting, which is exact and looks at few of the profiles), Clarabel
        for entropy (SCS, which is less exact, where Clarabel ends without a point) and, from 100 profiles on, for Gini; HiGHS takes
        the smaller ones.
    limits, options : as in ``solve_program``. A limit that is reached before any point is known is an error; after that, the point
        is returned with its gap, and ``outcome.termination`` tells.

    Raises
    ------
    UnknownName, InvalidData : see ``correlated_program`` and ``solve_program``.
    BackendFailure : the backend returned no distribution.

    Examples
    --------
    >>> from eqsolve.normal_form import chicken
    >>> best = correlated_equilibrium(chicken())
    >>> print(f"{best.value:.4f}")
    10.5000
    >>> best.distribution.round(4)
    array([[0.5 , 0.25],
           [0.25, 0.  ]])
    """
    program = equilibrium_program(game, concept, objective, sense=sense, epsilon=epsilon)
    outcome = answer_program(program, backend, limits=limits, options=options)
    if outcome.x is None:
        said = "; ".join((outcome.termination.value, *outcome.notes))
        remedy = "Every finite game has one: try another backend" + (" or a larger limit." if limits else ".")
        raise BackendFailure(f"backend {outcome.backend!r} returned no {program.name}: {said}", remedy)
    q = distribution_of(game, outcome)
    return CorrelatedEquilibrium(
        game=game,
        concept=concept,
        distribution=q,
        value=_value(program, q.reshape(-1)),
        payoffs=frozen(game.expected(q)),
        gap=correlated_gap(game, q, concept),
        outcome=outcome,
        _program=program,
    )


def equilibrium_program(
    game: NormalFormGame, concept: Correlated, objective: Any, *, sense: Sense = "max", epsilon: npt.ArrayLike = 0.0
) -> Program:
    """``correlated_program``; for entropy, over the profiles that some equilibrium plays.

    Where no equilibrium plays a profile, its cone would have no interior, and interior-point methods fail.
    """
    support = None
    if isinstance(objective, str) and objective == "max_entropy":
        widest = solve_program(support_program(game, concept, epsilon), "auto")
        if widest.is_optimal and widest.x is not None:
            support = widest.x[game.n_profiles :].reshape(game.shape) > 0.5
    return correlated_program(game, concept, objective, sense=sense, epsilon=epsilon, support=support)


def answer_program(
    program: Program, backend: str | Backend = "auto", *, limits: Limits | None = None, options: Options | None = None
) -> Outcome:
    """``solve_program`` with the choices of ``auto`` that ``correlated_equilibrium`` documents."""
    outcome = solve_program(program, _chosen(program, backend, options), limits=limits, options=options)
    if outcome.x is None and program.kind == "EXP" and backend == "auto" and get_backend(FIRST_ORDER).probe().usable:
        # Chances of 1e-9 and less at the optimum defeat interior points; a first-order method ends near it.
        outcome = solve_program(program, FIRST_ORDER, limits=limits)
    return outcome


def distribution_of(game: NormalFormGame, outcome: Outcome) -> FloatArray:
    """(m_1, ..., m_N) the distribution in a backend's point, which is one up to the backend's tolerance.

    Raises
    ------
    BackendFailure : the point has no positive entry.
    """
    assert outcome.x is not None
    q = np.maximum(outcome.x[: game.n_profiles], 0.0)
    if not q.any():
        raise BackendFailure(f"backend {outcome.backend!r} returned a point without a positive probability", "Try another backend.")
    return frozen((q / q.sum()).reshape(game.shape))


def _chosen(program: Program, backend: str | Backend, options: Options | None) -> str | Backend:
    """For a quadratic program over many profiles, the interior-point solver that needs a tenth of HiGHS's time, if it is here."""
    if backend == "auto" and not options and program.kind == "QP" and program.n_columns > MANY:
        interior = get_backend("cvxpy:CLARABEL")
        return interior if interior.probe().usable else backend
    return backend


def _value(program: Program, q: FloatArray) -> float:
    if program.kind == "EXP":
        positive = q[q > 0]
        return float(-(positive * np.log(positive)).sum())
    if program.Q is not None:
        return float(1.0 - q @ q)
    return float(program.c[: len(q)] @ q)
