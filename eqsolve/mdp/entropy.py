"""Entropy-regularised decision processes as an exponential cone program over visits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import real_number
from eqsolve.mdp.flow import Flow, pair_axes, reached
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.programs import Program, ProgramBuilder
from eqsolve.programs.cone import Cone


def entropy_program(mdp: FiniteMDP, tau: float, *, reference: npt.ArrayLike | None = None, scaled: bool = True) -> Program:
    r"""The policy of largest value plus ``tau`` times its conditional entropy.

    .. math:: \max\ \sum_{s,a} r(s, a)\, d(s, a) + \tau \sum_{s,a} t(s, a) \quad \text{s.t. flow}, \quad
              t(s, a) \le d(s, a) \log \frac{\rho(a \mid s)\, D(s)}{d(s, a)}, \qquad D(s) = \sum_a d(s, a)

    With rho = 1, the t of a state sum to D times the entropy of the policy there, and the policy of the visits is the soft-optimal
    one, proportional to rho exp(q / tau), where v = tau log sum_a rho exp(q / tau); these values are the duals of the rows
    ``flow``. Columns ``d`` (as in ``occupancy_program``) and ``t[state, action]``, rows ``flow`` and those of one exponential cone
    per pair (but of states with one action): ``bonus`` t, ``visits`` d, ``mass`` rho D.

    Parameters
    ----------
    tau : temperature > 0, in reward units.
    reference : (K,), with a horizon (H, K), a policy rho: minus tau times the relative entropy to it instead; actions of
        probability 0 are never played.
    scaled : as in ``occupancy_program``.

    Raises
    ------
    InvalidMDP : ``tau`` is not a number above 0, ``reference`` is not a policy.

    Notes
    -----
    Source: Neu, Jonsson, Gomez (2017), A unified view of entropy-regularized Markov decision processes (the conditional entropy).
    """
    weight = real_number("tau", tau, above=0.0, error=InvalidMDP)
    rho = np.ones(mdp.n_steps * mdp.n_pairs) if reference is None else mdp.check_policy(reference).reshape(-1)
    # A state that is never visited would give cones without interior.
    visited = reached(mdp, mdp.gamma, rho.reshape(-1, mdp.n_pairs) > 0)
    played = (rho > 0) & visited[:, mdp.owner].reshape(-1)
    # Where only one action is played its bonus is 0, and a cone would have no interior.
    options = np.add.reduceat(played.reshape(-1, mdp.n_pairs), mdp.first[:-1], axis=1, dtype=np.int64)[:, mdp.owner].reshape(-1)
    mixed = played & (options > 1)
    flow = Flow.of(mdp, scaled=scaled)
    builder = ProgramBuilder("entropy-regularised occupancy", sense="max")
    d = flow.columns(builder, "d", upper=np.where(played, flow.most, 0.0))
    # An optimal t is between 0 and D/e without a reference, and never below D log(rho) with one.
    least = flow.most * np.log(rho[played].min()) if reference is not None else 0.0
    t = flow.columns(builder, "t", lower=np.where(mixed, least, 0.0), upper=np.where(mixed, flow.most, 0.0))
    flow.rows(builder, d)
    sides, counts, axes, labels = pair_axes(mdp)
    bonus, visits, mass = (
        builder.rows(name, sides, counts=counts, axes=axes, labels=labels) for name in ("bonus", "visits", "mass")
    )
    every = np.arange(d.size)
    builder.add(bonus, t, every, every)
    builder.add(visits, d, every, every)
    within = sparse.block_diag([np.ones((n, n)) for n in mdp.n_actions.tolist()], format="csr")
    builder.add(mass, d, sparse.diags_array(rho) @ sparse.kron(sparse.eye_array(mdp.n_steps), within))
    builder.objective(d, flow.reward)
    builder.objective(t, np.full(t.size, weight))
    program = builder.build(note=f"tau {weight:.6g}, scale {flow.scale:.6g}")
    starts = np.asarray([bonus.start, visits.start, mass.start])
    return replace(program, cones=tuple(Cone("exp", starts + k, np.zeros(3)) for k in np.flatnonzero(mixed).tolist()))
