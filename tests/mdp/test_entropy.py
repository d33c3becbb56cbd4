"""The entropy-regularised occupancy program against soft value iteration written here, and cvxpy by hand."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from scipy.special import logsumexp

from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.mdp.entropy import entropy_program
from eqsolve.mdp.model import InvalidMDP
from eqsolve.mdp.recovery import policy_from, value_of
from tests.mdp.occupancy_oracle import dense_kernel, random_small


def soft(mdp, tau, log_reference):
    """Soft values (S,) at the first step, and the policy."""

    def improve(q, weights):
        pieces = [q[a:b] / tau + weights[a:b] for a, b in zip(mdp.first[:-1], mdp.first[1:], strict=True)]
        v = np.array([tau * logsumexp(piece) for piece in pieces])
        return v, np.concatenate([np.exp(piece - logsumexp(piece)) for piece in pieces])

    if mdp.horizon is not None:
        v, policies = np.array(mdp.terminal), []
        for h in range(mdp.horizon - 1, -1, -1):
            v, policy = improve(mdp.reward_at(h) + mdp.gamma * dense_kernel(mdp, h) @ v, log_reference[h])
            policies.insert(0, policy)
        return v, np.array(policies)
    v = np.zeros(mdp.n_states)
    for _ in range(int(40 / (1 - mdp.gamma))):
        v, policy = improve(mdp.reward + mdp.gamma * dense_kernel(mdp) @ v, log_reference)
    return v, policy


@pytest.mark.parametrize("horizon", [None, 2])
@pytest.mark.parametrize("with_reference", [False, True])
def test_the_optimum_is_the_soft_optimal_policy(horizon, with_reference):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        mdp = random_small(seed, horizon=horizon, gamma=0.9, states=(2, 4))
        tau = float(rng.uniform(0.3, 1.5))
        reference = None
        log_reference = np.zeros(mdp.policy_shape())
        if with_reference:
            weights = rng.uniform(0.2, 1.0, mdp.policy_shape())
            if seed % 3 == 0:
                weights[..., mdp.first[:-1]] *= mdp.n_actions == 1
            reference = weights / np.add.reduceat(weights, mdp.first[:-1], axis=-1)[..., mdp.owner]
            with np.errstate(divide="ignore"):
                log_reference = np.log(reference)
        program = entropy_program(mdp, tau, reference=reference)
        outcome = solve_program(program)
        certificate = certify(program, outcome)
        assert certificate.holds(1e-6), certificate.reason(1e-6)
        v, policy = soft(mdp, tau, log_reference)
        assert value_of(program, outcome) == pytest.approx(mdp.initial @ v, abs=1e-6)
        visited = np.repeat(mdp.initial > 0, mdp.n_actions)
        found = policy_from(mdp, program, outcome)
        first, wanted = (found, policy) if horizon is None else (found[0], policy[0])
        assert first[visited] == pytest.approx(wanted[visited], abs=2e-3)
        assert outcome.y[: mdp.n_states][mdp.initial > 0] == pytest.approx(v[mdp.initial > 0], abs=1e-4)


def test_against_cvxpy_by_hand():
    for seed in range(4):
        mdp = random_small(seed, gamma=0.5, states=(2, 3))
        d = cp.Variable(mdp.n_pairs, nonneg=True)
        own = np.zeros((mdp.n_states, mdp.n_pairs))
        own[mdp.owner, np.arange(mdp.n_pairs)] = 1.0
        entropy = -cp.sum(cp.rel_entr(d, (own.T @ own) @ d))
        flow = [own @ d - 0.5 * dense_kernel(mdp).T @ d == mdp.initial]
        best = cp.Problem(cp.Maximize(mdp.reward @ d + 0.7 * entropy), flow).solve(solver=cp.CLARABEL)
        program = entropy_program(mdp, 0.7)
        outcome = solve_program(program)
        assert certify(program, outcome).holds(1e-6)
        assert value_of(program, outcome) == pytest.approx(best, abs=1e-6)


def test_the_program_reads_well():
    program = entropy_program(random_small(0, gamma=0.9, states=(3, 3), actions=(2, 2)), 0.5)
    assert program.kind == "EXP"
    assert len(program.cones) == 6
    assert "exponential cone" in program.row("mass", 0, 1)
    assert "d[0, 0] + d[0, 1]" in program.row("mass", 0, 1)
    assert "tau 0.5" in str(program)


def test_a_state_with_one_action_has_no_cone():
    mdp = random_small(4, gamma=0.9, states=(3, 3), actions=(1, 1))
    program = entropy_program(mdp, 0.5)
    assert not program.cones
    assert value_of(program, solve_program(program)) == pytest.approx(mdp.initial @ soft(mdp, 0.5, np.zeros(3))[0])


@pytest.mark.parametrize("tau", [0.0, -1.0, np.nan, np.inf, "warm", True])
def test_bad_temperatures_are_refused(tau):
    with pytest.raises(InvalidMDP, match="tau is"):
        entropy_program(random_small(0), tau)


def test_a_reference_that_is_no_policy_is_refused():
    with pytest.raises(InvalidMDP, match="policy"):
        entropy_program(random_small(0), 1.0, reference=2 * random_small(0).uniform_policy())
