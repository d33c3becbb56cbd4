"""Policies within a chi-square ball around a behaviour policy, as a second-order cone program over visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, float_array
from eqsolve.mdp.flow import Flow, pair_axes, reached, state_axes
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.programs import Program, ProgramBuilder
from eqsolve.programs.cone import Cone


def chi_square_ball_program(mdp: FiniteMDP, nu: npt.ArrayLike, radius: npt.ArrayLike, *, scaled: bool = True) -> Program:
    r"""The best policy whose expected chi-square distance to ``nu`` is at most ``radius`` at every step.

    .. math:: \max\ \sum_{h,s,a} \gamma^h r_h(s, a)\, d_h(s, a) \quad \text{s.t. flow}, \quad
              \sum_a \frac{(d_h(s, a) - \nu_h(a \mid s) D_h(s))^2}{\nu_h(a \mid s)} \le y_h(s)\, D_h(s), \quad
              \sum_s y_h(s) \le \kappa\, C_h\ \ \forall h

    With D the sum of d over actions, the cone says y / D >= chi^2(pi, nu) in every state, so that the budget of step h bounds the
    chi-square averaged over the states that the policy itself visits. (Written with d^2 / nu and 1 + C instead, the same cones
    are much harder on interior-point methods.) Columns ``d[step, state, action]`` are probabilities
    times ``kappa`` (not discounted; see ``occupancy_program`` for ``kappa``), and ``y[step, state]``; rows ``flow``,
    ``budget[step]`` and those of the rotated cones: ``spread`` y/2, ``visits`` D, ``excess``
    (d - nu D)/sqrt(nu). A state in which only one action may be played has none.

    Several contexts are one process: ``disjoint_union(mdps, weights)``, whose budgets then average over contexts too.

    Parameters
    ----------
    mdp : with a horizon.
    nu : (K,) or (H, K) behaviour policy; actions of probability 0 are never played.
    radius : C >= 0, a number or (H,). At 0 the only policy is ``nu``, wherever it leads.
    scaled : as in ``occupancy_program``.

    Raises
    ------
    InvalidMDP : no horizon, ``nu`` is not a policy, a radius that is negative or of another shape.

    Notes
    -----
    Source: the class :math:`\Pi_i(C)` in Theorem 2 of Zhan et al. The dual dynamic program ``ball_optimal`` solves
    the same problem.
    """
    if mdp.horizon is None:
        raise InvalidMDP("a chi-square ball has one budget per step, and there is no horizon", "Give the process a horizon.")
    H, S = mdp.horizon, mdp.n_states
    behaviour = mdp.check_policy(nu).reshape(-1)
    C = float_array("radius", radius, (H,), error=InvalidMDP)
    if C.min() < 0:
        raise InvalidMDP(f"radius[{int(np.argmax(C < 0))}] is {C.min():g}, a negative number")
    flow = Flow.of(mdp, scaled=scaled, discounted=False)
    # A state that is never visited would give a cone without interior.
    visited = reached(mdp, 1.0, behaviour.reshape(H, -1) > 0)
    played = (behaviour > 0) & visited[:, mdp.owner].reshape(-1)
    builder = ProgramBuilder("chi-square ball", sense="max")
    d = flow.columns(builder, "d", upper=np.where(played, flow.most, 0.0))
    shape, axes, labels = state_axes(mdp)
    options = np.add.reduceat(played.reshape(H, -1), mdp.first[:-1], axis=1, dtype=np.int64)
    mixed = options > 1
    room = 2.0 * flow.scale * (C + 1.0)
    y = builder.columns("y", shape, axes=axes, labels=labels, upper=np.where(mixed, room[:, None], 0.0))
    flow.rows(builder, d)
    budget = builder.rows("budget", (H,), axes=("step",), upper=flow.scale * C)
    builder.add(budget, y, np.repeat(np.arange(H), S), np.arange(H * S))
    spread = builder.rows("spread", shape, axes=axes, labels=labels)
    builder.add(spread, y, np.arange(H * S), np.arange(H * S), 0.5)
    visits = builder.rows("visits", shape, axes=axes, labels=labels)
    owner = _cells(mdp)
    builder.add(visits, d, owner, np.arange(d.size))
    sides, counts, pair_names, pair_labels = pair_axes(mdp)
    excess = builder.rows("excess", sides, counts=counts, axes=pair_names, labels=pair_labels)
    root = np.sqrt(np.where(played, behaviour, 1.0))
    own = sparse.csr_array((np.ones(d.size), (np.arange(d.size), owner)), shape=(d.size, H * S))
    builder.add(excess, d, sparse.diags_array(1.0 / root) - sparse.diags_array(np.where(played, root, 0.0)) @ own @ own.T)
    builder.objective(d, flow.reward)
    program = builder.build(note=f"scale {flow.scale:.6g}")
    starts = np.concatenate(([0], np.cumsum(np.tile(mdp.n_actions, H))))
    cones = []
    for k in np.flatnonzero(mixed).tolist():
        tail = excess.start + starts[k] + np.flatnonzero(played[starts[k] : starts[k + 1]])
        rows = np.concatenate(([spread.start + k, visits.start + k], tail))
        cones.append(Cone("rsoc", rows, np.zeros(len(rows))))
    return replace(program, cones=tuple(cones))


def expected_chi_square(mdp: FiniteMDP, visits: npt.ArrayLike, policy: npt.ArrayLike, nu: npt.ArrayLike) -> FloatArray:
    """(H,) the chi-square distance of a policy to ``nu``, averaged over the visits (H, K) of each step.

    Infinite where the policy plays an action that ``nu`` does not, in a state that is visited.

    Raises
    ------
    InvalidMDP : no horizon, an array of another shape, or one that is not a policy.
    """
    if mdp.horizon is None:
        raise InvalidMDP("a chi-square ball has one budget per step, and there is no horizon", "Give the process a horizon.")
    d = float_array("visits", visits, mdp.policy_shape(), error=InvalidMDP)
    p, q = mdp.check_policy(policy), mdp.check_policy(nu)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * p / q, 0.0)
    distance = np.add.reduceat(terms, mdp.first[:-1], axis=1) - 1.0
    weight = np.add.reduceat(d, mdp.first[:-1], axis=1)
    weight = weight / weight.sum(axis=1, keepdims=True)
    return np.asarray(np.where(weight > 0, weight * np.where(weight > 0, distance, 0.0), 0.0).sum(axis=1))


def disjoint_union(mdps: Sequence[FiniteMDP], weights: npt.ArrayLike) -> FiniteMDP:
    """One process that starts in process c with probability ``weights[c]`` and stays in it: contexts as states.

    Parameters
    ----------
    mdps : at least one, all with the same horizon and discount.
    weights : (len(mdps),) probabilities.

    Returns
    -------
    FiniteMDP, sparse; its states and pairs are those of the first process, then of the second, and so on, called ``c:state``.

    Raises
    ------
    InvalidMDP : no process, different horizons or discounts, weights that are not probabilities.
    """
    if not mdps:
        raise InvalidMDP("there are no processes to join")
    base = mdps[0]
    for c, one in enumerate(mdps):
        if (one.horizon, one.gamma) != (base.horizon, base.gamma):
            raise InvalidMDP(
                f"process {c} has horizon {one.horizon} and discount {one.gamma:g}, process 0 has {base.horizon} and {base.gamma:g}"
            )
    rho = float_array("weights", weights, (len(mdps),), error=InvalidMDP)
    kernels = [
        sparse.csr_array(sparse.block_diag([sparse.csr_array(one.kernel(h)) for one in mdps], format="csr"))
        for h in range(base.n_steps if any(len(one.transition) > 1 for one in mdps) else 1)
    ]
    reward = np.concatenate([np.broadcast_to(one.reward, (one.n_steps, one.n_pairs)) for one in mdps], axis=1)
    actions: list[str] = []
    if any(one.actions for one in mdps):
        actions = [one.action_label(k) for one in mdps for k in range(one.n_pairs)]
    return FiniteMDP(
        np.concatenate([one.n_actions for one in mdps]),
        kernels if len(kernels) > 1 else kernels[0],
        reward if base.horizon is not None else reward[0],
        base.gamma,
        horizon=base.horizon,
        initial=np.concatenate([weight * one.initial for weight, one in zip(rho, mdps, strict=True)]),
        terminal=None if base.horizon is None else np.concatenate([one.terminal for one in mdps]),
        name=base.name,
        states=[f"{c}:{one.state_label(s)}" for c, one in enumerate(mdps) for s in range(one.n_states)],
        actions=actions,
    )


def _cells(mdp: FiniteMDP) -> npt.NDArray[np.int64]:
    """(n_steps K,) the position of each pair's state in a block over (step, state)."""
    return np.asarray((mdp.owner[None, :] + mdp.n_states * np.arange(mdp.n_steps)[:, None]).reshape(-1))
