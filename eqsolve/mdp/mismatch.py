"""How far the visits of one policy can be from those of another: mismatch (distribution shift) coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import BoolArray, FloatArray, float_array
from eqsolve.backends import Outcome, solve_family
from eqsolve.backends.base import Backend
from eqsolve.errors import BackendFailure
from eqsolve.mdp.flow import reached
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.programs import VisitationFamily
from eqsolve.mdp.recovery import episodes
from eqsolve.programs.program import Sense

SMALL = 1e-9
"""Least visits below this share of all visits are decided to be 0 or not by the graph of the process."""
SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class Mismatch:
    """A mismatch coefficient, and where it is reached.

    Parameters
    ----------
    value : the largest ratio over the states that can be visited; infinite where one of them may be left out.
    state : the number of the state where it is reached.
    ratio : (S,) numerator over denominator; infinite where only the denominator is 0, NaN where both are.
    numerator, denominator : (S,) visits, not normalised (they sum to 1 / (1 - gamma), for one policy).
    unreachable : labels of the states that neither side visits; they take no part.
    reason : why the value is infinite; empty when it is finite.
    """

    value: float
    state: int
    ratio: FloatArray
    numerator: FloatArray
    denominator: FloatArray
    unreachable: tuple[str, ...] = ()
    reason: str = ""


def visitation_range(mdp: FiniteMDP, sense: Sense = "max", backend: str | Backend = "auto") -> FloatArray:
    """(S,) the largest (or least) discounted visits of each state over all policies: S programs ``visitation_program``.

    Small visits are told from none by the graph of the process, so that zeros are exact.

    Raises
    ------
    InvalidMDP : the sense is neither "max" nor "min".
    BackendFailure : a program that was not solved.
    """
    family = VisitationFamily(mdp, sense)
    scale = episodes(family.base)
    visits = np.array([_objective(mdp, s, outcome) for s, outcome in enumerate(solve_family(family, backend))]) / scale
    visits = np.maximum(visits, 0.0)
    if sense == "max":
        visits[~reachable(mdp)] = 0.0
    else:
        small = np.flatnonzero(visits <= SMALL * _total(mdp)).tolist()
        visits[[s for s in small if avoidable(mdp, s)]] = 0.0
    return visits


def mismatch_coefficient(
    mdp: FiniteMDP,
    *,
    of: npt.ArrayLike | None = None,
    against: npt.ArrayLike | str | None = None,
    backend: str | Backend = "auto",
) -> Mismatch:
    r"""The largest ratio between the visits of two policies in one state.

    .. math:: M = \max_{\pi, \pi'} \Big\| \frac{d_\mu^{\pi}}{d_\mu^{\pi'}} \Big\|_\infty
              = \max_s \frac{\max_\pi d_\mu^\pi(s)}{\min_{\pi'} d_\mu^{\pi'}(s)}

    The extremes of each state are attained by deterministic policies, so that the coefficient is the same for every class of
    policies that contains these.

    Parameters
    ----------
    of : the policy of the numerator, (K,) or with a horizon (H, K); the worst one for each state when left out.
    against : the policy of the denominator; the worst one when left out; or ``"initial"``, the initial distribution: then the
        visits above it are divided by the sum of all visits, so that both are distributions.
    backend : for the 2 S programs; see ``solve_program``.

    Returns
    -------
    Mismatch; infinite, with the reason, where a state can be visited by one side and left out by the other.

    Raises
    ------
    InvalidMDP : ``of`` or ``against`` is not a policy.

    Notes
    -----
    Source: Lemma 2 of the Bayesian-network paper (``bayesian_network``), and the usual distribution-mismatch coefficient of policy
    gradient methods (Agarwal et al. 2021).

    Examples
    --------
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0.5, 0.5]], [0.0, 0.0, 0.0], gamma=0.5)
    >>> found = mismatch_coefficient(mdp)
    >>> round(found.value, 9), found.state
    (1.8, 1)
    """
    numerator = visitation_range(mdp, "max", backend) if of is None else _state_visits(mdp, of)
    if isinstance(against, str):
        if against != "initial":
            raise InvalidMDP(f"against is {against!r}, which is neither a policy nor 'initial'")
        numerator, denominator = numerator / _total(mdp), np.asarray(mdp.initial)
    else:
        denominator = visitation_range(mdp, "min", backend) if against is None else _state_visits(mdp, against)
    ratio = np.full(mdp.n_states, np.nan)
    above, below = numerator > 0, denominator > 0
    ratio[below] = numerator[below] / denominator[below]
    ratio[above & ~below] = np.inf
    state = int(np.nanargmax(ratio))
    open_states = np.flatnonzero(np.isinf(ratio))
    reason = ""
    if len(open_states):
        names = ", ".join(mdp.state_label(s) for s in open_states[:SHOWN].tolist())
        more = f" and {len(open_states) - SHOWN} more" if len(open_states) > SHOWN else ""
        reason = f"the denominator is 0 and the numerator is not in state {names}{more}"
        reason += "; an initial distribution that gives every state some weight makes it finite"
    unreachable = tuple(mdp.state_label(s) for s in np.flatnonzero(np.isnan(ratio)).tolist())
    for array in (ratio, numerator, denominator):
        array.setflags(write=False)
    return Mismatch(float(ratio[state]), state, ratio, numerator, denominator, unreachable, reason)


def reachable(mdp: FiniteMDP) -> BoolArray:
    """(S,) the states that some policy visits with positive probability; with gamma = 0 those of the initial distribution."""
    return np.asarray(reached(mdp, mdp.gamma).any(axis=0))


def avoidable(mdp: FiniteMDP, state: int | str) -> bool:
    """Whether some policy never visits a state.

    Raises
    ------
    UnknownName : there is no such state.
    """
    s = mdp.state_number(state)
    if mdp.initial[s] > 0:
        return False
    if mdp.gamma == 0.0:
        return True
    keep = np.ones(mdp.n_states, dtype=bool)
    keep[s] = False
    first = mdp.first[:-1]
    if mdp.horizon is not None:
        safe = keep
        for h in range(mdp.horizon - 2, -1, -1):
            leaves = mdp.kernel(h) @ (~safe).astype(np.float64) > 0
            safe = keep & ~np.logical_and.reduceat(leaves, first)
        return bool(safe[mdp.initial > 0].all())
    while True:
        leaves = mdp.kernel() @ (~keep).astype(np.float64) > 0
        fewer = keep & ~np.logical_and.reduceat(leaves, first)
        if not fewer[mdp.initial > 0].all():
            return False
        if (fewer == keep).all():
            return True
        keep = fewer


def _objective(mdp: FiniteMDP, s: int, outcome: Outcome) -> float:
    if not outcome.is_optimal or outcome.objective is None:
        raise BackendFailure(
            f"the extreme visits of state {mdp.state_label(s)} were not found by {outcome.backend!r}: {outcome.termination.value}",
            "\n".join(outcome.notes),
        )
    return outcome.objective


def _state_visits(mdp: FiniteMDP, policy: npt.ArrayLike) -> FloatArray:
    """(S,) the discounted visits of a policy, over all steps."""
    from eqsolve.mdp.evaluation import visitation

    d = np.asarray(visitation(mdp, mdp.check_policy(policy), normalised=False))
    by_state = np.add.reduceat(np.atleast_2d(d), mdp.first[:-1], axis=-1)
    return float_array("visits", np.maximum(by_state, 0.0).sum(axis=0)).copy()


def _total(mdp: FiniteMDP) -> float:
    """The sum of all visits of any policy."""
    if mdp.horizon is None:
        return 1.0 / (1.0 - mdp.gamma)
    return float((mdp.gamma ** np.arange(mdp.horizon)).sum())
