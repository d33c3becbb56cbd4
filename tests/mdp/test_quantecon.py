"""The same values as QuantEcon's DiscreteDP, where it is installed, in its conventions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from eqsolve.mdp import FiniteMDP
from eqsolve.mdp.native import optimal_policy
from tests.mdp.instances import expander, slippery_grid

markov = pytest.importorskip("quantecon.markov")


def as_discrete_dp(mdp: FiniteMDP) -> object:
    actions = np.arange(mdp.n_pairs) - np.repeat(mdp.first[:-1], mdp.n_actions)
    return markov.DiscreteDP(mdp.reward, sparse.csr_matrix(mdp.kernel()), mdp.gamma, np.asarray(mdp.owner), actions)


def test_asset_replacement():
    """Ragged actions given as state-action pairs: keep or replace an asset that wears out and must go at the end of its life."""
    life, beta, price = 5, 0.9, 75.0
    net = [50.0 - 2.5 * a - 2.5 * a**2 for a in range(1, life + 1)]
    rows, rewards, counts = [], [], []
    for age in range(life):
        keep = age < life - 1
        counts.append(1 + keep)
        if keep:
            rows.append(age + 1)
            rewards.append(net[age])
        rows.append(0)
        rewards.append(net[0] - price)
    kernel = sparse.csr_array((np.ones(len(rows)), rows, np.arange(len(rows) + 1)), shape=(len(rows), life))
    mdp = FiniteMDP(counts, kernel, rewards, beta)
    theirs = as_discrete_dp(mdp).solve(method="policy_iteration")
    for method in ("policy_iteration", "modified_policy_iteration", "value_iteration"):
        ours = optimal_policy(mdp, method)
        assert ours.values == pytest.approx(theirs.v, abs=1e-7)
        assert np.array_equal(ours.choice, theirs.sigma)


@pytest.mark.parametrize("build", [lambda: expander(400, 4, 5, 0.95), lambda: slippery_grid(15, 0.95)], ids=["expander", "grid"])
def test_all_of_its_methods(build):
    mdp = build()
    ddp = as_discrete_dp(mdp)
    ours = optimal_policy(mdp, tolerance=1e-9)
    for method in ("policy_iteration", "value_iteration", "modified_policy_iteration"):
        theirs = ddp.solve(method=method, epsilon=2e-9, max_iter=100_000)
        assert ours.values == pytest.approx(theirs.v, abs=4e-9)
        assert np.array_equal(ours.choice, theirs.sigma)
