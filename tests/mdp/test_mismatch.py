"""Mismatch coefficients against all deterministic policies, and states that a policy can leave out."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.errors import UnknownName
from eqsolve.mdp.mismatch import avoidable, mismatch_coefficient, reachable, visitation_range
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from tests.mdp.occupancy_oracle import choices, played, random_small, state_visits


@pytest.mark.parametrize("horizon", [None, 2])
def test_against_all_deterministic_policies(horizon):
    infinite = 0
    for seed in range(40):
        mdp = random_small(seed, horizon=horizon, states=(1, 3), actions=(1, 2), gamma=0.0 if seed == 9 else None)
        visits = np.array([state_visits(mdp, played(mdp, pairs)) for pairs in choices(mdp)])
        most, least = visits.max(axis=0), visits.min(axis=0)
        assert visitation_range(mdp, "max") == pytest.approx(most, abs=1e-9)
        assert visitation_range(mdp, "min") == pytest.approx(least, abs=1e-9)
        assert (reachable(mdp) == (most > 0)).all()
        assert [avoidable(mdp, s) for s in range(mdp.n_states)] == [one == 0 for one in least]
        found = mismatch_coefficient(mdp)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = most / least
        assert found.value == pytest.approx(np.nanmax(ratio), rel=1e-9)
        assert found.ratio[found.state] == found.value
        assert np.isinf(found.value) == bool(found.reason)
        assert len(found.unreachable) == int((most == 0).sum())
        infinite += np.isinf(found.value)
    assert 3 <= infinite <= 35


def test_highs_agrees_with_native():
    mdp = random_small(12, gamma=0.9, states=(4, 4), actions=(2, 2))
    for sense in ("max", "min"):
        assert visitation_range(mdp, sense, "highs") == pytest.approx(visitation_range(mdp, sense), abs=1e-8)


@pytest.mark.parametrize("horizon", [None, 3])
def test_of_one_policy_against_another_and_against_the_initial_distribution(horizon):
    rng = np.random.default_rng(0)
    for seed in range(10):
        mdp = random_small(seed, horizon=horizon, gamma=0.9, states=(2, 4))
        policies = []
        for _ in range(2):
            weights = rng.uniform(0.1, 1.0, mdp.policy_shape())
            policies.append(weights / np.add.reduceat(weights, mdp.first[:-1], axis=-1)[..., mdp.owner])
        one, two = (state_visits(mdp, policy) for policy in policies)
        found = mismatch_coefficient(mdp, of=policies[0], against=policies[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            assert found.value == pytest.approx(np.nanmax(one / two), rel=1e-9)
            start = mismatch_coefficient(mdp, of=policies[0], against="initial")
            assert start.value == pytest.approx(np.nanmax(one / one.sum() / mdp.initial), rel=1e-9)
        assert mismatch_coefficient(mdp, of=policies[0]).value >= found.value * (1 - 1e-9)


def test_states_that_are_left_out_are_named():
    move = np.eye(4)[[1, 2, 1, 2, 3]]
    mdp = FiniteMDP([2, 1, 1, 1], move, np.zeros(5), 0.5, initial=0, states=["start", "left", "right", "nowhere"])
    found = mismatch_coefficient(mdp)
    assert found.value == np.inf
    assert "in state left, right" in found.reason
    assert found.unreachable == ("nowhere",)
    assert np.isnan(found.ratio[3])
    assert found.ratio[0] == 1.0
    assert reachable(mdp).tolist() == [True, True, True, False]
    assert avoidable(mdp, "left")
    assert not avoidable(mdp, "start")
    covered = FiniteMDP([2, 1, 1, 1], move, np.zeros(5), 0.5)
    assert np.isfinite(mismatch_coefficient(covered).value)


def test_bad_input_is_refused():
    mdp = random_small(0, gamma=0.9)
    with pytest.raises(InvalidMDP, match="neither a policy nor 'initial'"):
        mismatch_coefficient(mdp, against="uniform")
    with pytest.raises(InvalidMDP, match="policy"):
        mismatch_coefficient(mdp, of=-mdp.uniform_policy())
    with pytest.raises(InvalidMDP, match="sense"):
        visitation_range(mdp, "most")
    with pytest.raises(UnknownName, match="no state 17"):
        avoidable(mdp, 17)
