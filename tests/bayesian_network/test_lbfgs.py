"""L-BFGS: its two loops against the matrix they stand for, what is remembered, and what happens where a step fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.bayesian_network.lbfgs import CURVED, LBFGS, gradient_of, two_loops
from eqsolve.driver import Run
from tests.bayesian_network.methods import ByHand, game, network_of


def inverse_by_hand(steps, changes):
    """The BFGS estimate of the inverse Hessian as a matrix, by its recursion from a multiple of the identity."""
    D = steps.shape[1]
    inverse = (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1]) * np.eye(D)
    for s, y in zip(steps, changes, strict=True):
        rho = 1.0 / (s @ y)
        left = np.eye(D) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    return inverse


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 2**32))
def test_the_two_loops_multiply_by_the_inverse_hessian(D, m, seed):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((D, D)) + 2 * np.eye(D)
    steps = rng.standard_normal((m, D))
    changes = steps @ (root @ root.T + np.eye(D))
    gradient = rng.standard_normal(D)
    found = two_loops(gradient, steps, changes)
    expected = inverse_by_hand(steps, changes) @ gradient
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(expected).max())
    assert gradient @ found > 0
    # The secant equation: the last change of the gradient is what the last step makes of it.
    assert two_loops(changes[-1], steps, changes) == pytest.approx(steps[-1], abs=1e-7 * np.abs(steps[-1]).max())


def test_without_memory_it_is_the_gradient():
    gradient = np.array([1.0, -2.0, 3.0])
    found = two_loops(gradient, np.empty((0, 3)), np.empty((0, 3)))
    assert found.tolist() == gradient.tolist()
    found[0] = 9.0
    assert gradient[0] == 1.0


@pytest.mark.parametrize("memory_size", [1, 2, 5])
def test_the_last_pairs_are_remembered_and_the_gradient_falls_along_each(memory_size):
    one = game("dense")
    method = LBFGS("chain", lam=0.1, memory_size=memory_size)
    run = Run()
    by_hand = ByHand(one, network_of(one, "chain"), 0.1)
    objective = method.objective(one, run)
    state, pairs = method.init(one, run), []
    assert state.memory == ()
    while not state.stationary:
        before, state = state, method.step(one, state, run)[0]
        assert gradient_of(objective, state) == pytest.approx(by_hand.gradient(state.logits), abs=1e-12)
        assert state.objective > before.objective or state.gradient_norm < before.gradient_norm
        step, change = state.logits - before.logits, gradient_of(objective, before) - gradient_of(objective, state)
        if step @ change > CURVED * np.linalg.norm(step) * np.linalg.norm(change):
            pairs.append((step, change))
        steps, changes = state.memory
        assert len(steps) == len(changes) == min(memory_size, len(pairs))
        for kept, (s, y) in zip(zip(steps, changes, strict=True), pairs[-memory_size:], strict=True):
            assert np.array_equal(kept[0], s)
            assert np.array_equal(kept[1], y)
        run.iteration += 1
    assert len(pairs) > memory_size


def test_a_memory_that_leads_downwards_or_nowhere_is_forgotten():
    one = game("dense")
    method, run = LBFGS("chain", lam=0.1), Run()
    objective, start = method.objective(one, run), method.init(one, run)
    gradient = gradient_of(objective, start)
    fresh = method.advance(objective, start, run)
    downwards = replace(start, memory=(gradient[None], -gradient[None]))  # as if the gradient grew along the way
    again = method.advance(objective, downwards, run)
    assert np.array_equal(again.logits, fresh.logits)
    assert all(np.array_equal(a, b) for a, b in zip(again.memory, fresh.memory, strict=True))
    huge = replace(start, memory=(1e30 * gradient[None], 1e-30 * gradient[None]))  # no halving makes up for it
    stuck = method.advance(objective, huge, run)
    assert stuck.memory == ()
    assert stuck.moved
    assert np.array_equal(method.advance(objective, stuck, run).logits, fresh.logits)
