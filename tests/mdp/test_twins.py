"""The compiled loops and their numpy twins give the same answers; steps are pure and can be resumed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from eqsolve.mdp import FiniteMDP
from eqsolve.mdp.bellman import Bellman
from eqsolve.mdp.modified_policy_iteration import ModifiedPolicyIteration
from eqsolve.mdp.policy_iteration import PolicyIteration
from eqsolve.mdp.value_iteration import ValueIteration
from tests.mdp.instances import expander, random_process, slippery_grid

PROCESSES = {
    "expander": expander(300, 3, 6, 0.97),
    "grid": slippery_grid(12, 0.99),
    **{f"ragged-{seed}": random_process(np.random.default_rng(seed), 30, 6, 0.9) for seed in range(8)},
}


def as_sparse(mdp: FiniteMDP) -> FiniteMDP:
    return FiniteMDP(mdp.n_actions, sparse.csr_array(mdp.kernel()), mdp.reward, mdp.gamma)


@pytest.mark.parametrize("name", PROCESSES)
def test_sweeps_are_equal(name):
    mdp = as_sparse(PROCESSES[name])
    arrays, loops = Bellman.of(mdp, compiled=False), Bellman.of(mdp, compiled=True)
    assert loops.compiled
    rng = np.random.default_rng(1)
    for _ in range(5):
        v = rng.normal(size=mdp.n_states) * 100
        (top, best), (same_top, same_best) = arrays.greedy(v), loops.greedy(v)
        np.testing.assert_allclose(top, same_top, rtol=1e-15)
        if np.array_equal(top, same_top):
            assert np.array_equal(best, same_best)
        np.testing.assert_allclose(arrays.policy(best).backup(v), loops.policy(best).backup(v), rtol=1e-15)


@pytest.mark.parametrize("name", PROCESSES)
def test_corrections_solve_the_same_system(name):
    mdp = as_sparse(PROCESSES[name])
    pairs = mdp.first[:-1]
    b = np.random.default_rng(2).normal(size=mdp.n_states)
    exact = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * mdp.kernel().toarray()[pairs], b)
    for compiled in (False, True):
        x = Bellman.of(mdp, compiled=compiled).policy(pairs).correction(b, 1e-12, 1000)
        assert x == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_a_correction_of_nothing_is_nothing(gamma):
    mdp = expander(50, 2, 3, gamma)
    for compiled in (False, True):
        policy = Bellman.of(mdp, compiled=compiled).policy(mdp.first[:-1])
        assert not policy.correction(np.zeros(50), 1e-3, 10).any()
        b = np.random.default_rng(0).normal(size=50)
        assert np.isfinite(policy.correction(b, 1e-300, 500)).all()


@pytest.mark.parametrize("method", [ModifiedPolicyIteration(), ValueIteration(), PolicyIteration()], ids=lambda m: type(m).__name__)
def test_methods_agree_between_the_twins_and_resume_bit_for_bit(method):
    mdp = PROCESSES["grid"]
    ends = []
    for compiled in (False, True):
        operator = Bellman.of(mdp, compiled=compiled)
        iterate, seen = method.begin(operator), []
        while method.ending(iterate) is None:
            before = iterate.values.copy()
            iterate, last = method.advance(operator, iterate), iterate
            assert np.array_equal(last.values, before)
            seen.append(iterate)
        again = seen[len(seen) // 2 - 1]
        fresh = Bellman.of(mdp, compiled=compiled)
        while method.ending(again) is None:
            again = method.advance(fresh, again)
        for part in ("values", "pairs", "lower", "upper"):
            assert np.array_equal(getattr(again, part), getattr(iterate, part))
        ends.append(iterate)
    one, other = ends
    assert (one.lower <= other.upper).all()
    assert (other.lower <= one.upper).all()


def test_zeros_stored_in_a_sparse_kernel_change_nothing():
    mdp = random_process(np.random.default_rng(3), 12, 4, 0.9)
    P = mdp.kernel().toarray() if mdp.is_sparse else np.asarray(mdp.kernel())
    full = sparse.csr_array((P.ravel(), np.tile(np.arange(P.shape[1]), len(P)), np.arange(len(P) + 1) * P.shape[1]), shape=P.shape)
    stored = FiniteMDP(mdp.n_actions, full, mdp.reward, 0.9)
    v = np.random.default_rng(4).normal(size=mdp.n_states)
    for compiled in (False, True):
        top, best = Bellman.of(stored, compiled=compiled).greedy(v)
        expected = mdp.reward + 0.9 * (P @ v)
        assert top == pytest.approx(np.maximum.reduceat(expected, mdp.first[:-1]), rel=1e-14)
        assert expected[best] == pytest.approx(top, rel=1e-14)


def test_a_dense_kernel_with_few_nonzeros_is_swept_as_a_sparse_one():
    mdp = expander(300, 2, 3, 0.9)
    table = FiniteMDP(mdp.n_actions, mdp.kernel().toarray(), mdp.reward, 0.9)
    assert sparse.issparse(Bellman.of(table).kernel)
    v = np.random.default_rng(0).normal(size=300)
    np.testing.assert_allclose(Bellman.of(table).greedy(v)[0], Bellman.of(mdp).greedy(v)[0], rtol=1e-14)


def test_size_chooses_the_twin():
    assert not Bellman.of(expander(100, 2, 5, 0.9)).compiled
    assert Bellman.of(expander(2000, 5, 6, 0.9)).compiled


def test_the_bracket_counts_rounding():
    """Exact rational arithmetic: the truth lies in the bracket although v is exact to the last bit."""
    from fractions import Fraction

    rng = np.random.default_rng(0)
    for _ in range(50):
        p, r, gamma = float(rng.random()), float(rng.normal()), 0.99
        mdp = FiniteMDP([1, 1], [[p, 1.0 - p], [0.0, 1.0]], [r, 0.1], gamma)
        g, q, rest = Fraction(gamma), Fraction(p), Fraction(1.0 - p)
        second = Fraction(0.1) / (1 - g)
        first = (Fraction(r) + g * rest * second) / (1 - g * q)
        v = np.array([float(first), float(second)])
        operator = Bellman.of(mdp)
        found = operator.bracket(v, operator.greedy(v)[0])
        assert Fraction(found.lower[0]) <= first <= Fraction(found.upper[0])
        assert Fraction(found.lower[1]) <= second <= Fraction(found.upper[1])
        assert found.width < 1e-9
