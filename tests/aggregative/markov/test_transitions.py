"""The families of transitions: values by their formulas, Lipschitz constants by samples, bad input by name."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative.markov import CallableTransitions, ConstantTransitions, MixtureTransitions, SoftmaxTransitions
from eqsolve.errors import InvalidGame

STEPS, STATES, D = 2, 3, 2


def random_kernels(rng):
    return rng.dirichlet(np.ones(STATES), (STEPS, STATES))


def families():
    rng = np.random.default_rng(4)
    slope = rng.uniform(-1, 1, (STEPS, STATES, STATES, D))
    low, high = random_kernels(rng), random_kernels(rng)

    def swing(h, s, x):
        share = (0.5 + 0.5 * np.sin((h + 1) * x[:, 0] + x[:, 1]))[:, None]
        return (1 - share) * low[h, s] + share * high[h, s]

    declared = 0.5 * np.array([[2.0], [3.0]]) * 0.5 * np.abs(low - high).sum(axis=-1)
    return {
        "constant": ConstantTransitions(low),
        "mixture": MixtureTransitions(low, high, rng.random((STEPS, STATES)), slope[:, :, 0]),
        "softmax": SoftmaxTransitions(rng.normal(size=(STEPS, STATES, STATES)), slope),
        "callable": CallableTransitions(swing, declared, STATES, D, STEPS),
    }


@pytest.mark.parametrize("name", ["constant", "mixture", "softmax", "callable"])
def test_every_family_gives_distributions_that_move_no_faster_than_it_says(name):
    family = families()[name]
    assert (family.n_steps, family.n_states) == (STEPS, STATES)
    assert family.n_coordinates == (None if name == "constant" else D)
    assert family.lipschitz_is_computed == (name != "callable")
    rng = np.random.default_rng(6)
    for h in range(STEPS):
        for s in range(STATES):
            x = rng.uniform(-1, 2, (4000, D))
            near = x + rng.choice([-1.0, 1.0], x.shape) * 10.0 ** rng.uniform(-3, 0, (4000, 1))
            here, there = family.batch(h, s, x), family.batch(h, s, near)
            assert here.min() >= 0
            assert here.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
            moved = 0.5 * np.abs(here - there).sum(axis=1)
            allowed = family.lipschitz(h, s) * np.abs(near - x).max(axis=1)
            assert (moved <= allowed + 1e-12).all()
            assert family.at(h, s, x[0]) == pytest.approx(here[0], abs=1e-15)
            if name in ("mixture", "callable"):  # attained, where the share is not clipped
                assert moved[allowed > 0].max() > 0
                assert (moved / np.maximum(allowed, 1e-12)).max() > 0.9


@pytest.mark.parametrize("name", ["constant", "mixture", "softmax", "callable"])
def test_expected_values_are_sums_over_the_next_states(name):
    family, rng = families()[name], np.random.default_rng(9)
    x, values, row = rng.uniform(-1, 2, (50, D)), rng.normal(size=(4, STATES)), rng.integers(0, 4, 50)
    for h in range(STEPS):
        for s in range(STATES):
            by_hand = [float(family.at(h, s, one) @ values[k]) for one, k in zip(x, row, strict=True)]
            assert family.expected(h, s, x, values, row) == pytest.approx(by_hand, abs=1e-13)
    assert family.expected(0, 0, x[:0], values, row[:0]).shape == (0,)


def test_a_mixture_is_clipped_at_both_ends():
    low, high = np.array([[1.0, 0.0]] * 2), np.array([[0.0, 1.0]] * 2)
    family = MixtureTransitions(low, high, [0.25, 0.5], [[1.0, 0.5], [0.0, 0.0]])
    assert family.batch(7, 0, np.array([[0.5, 0.0], [0.25, 0.5], [2.0, 0.0], [-2.0, 0.0]])).tolist() == [
        [0.25, 0.75],
        [0.25, 0.75],
        [0.0, 1.0],
        [1.0, 0.0],
    ]
    assert (family.lipschitz(0, 0), family.lipschitz(0, 1)) == (1.5, 0.0)
    assert family.n_steps == 1


def test_softmax_by_hand_and_with_large_logits():
    family = SoftmaxTransitions(np.log([[1.0, 3.0]] * 2), [[[0.0], [2.0]], [[0.0], [1000.0]]])
    assert family.at(0, 0, np.array([0.0])) == pytest.approx([0.25, 0.75])
    assert family.at(0, 0, np.array([0.5])) == pytest.approx([1 / (1 + 3 * np.e), 3 * np.e / (1 + 3 * np.e)])
    assert family.at(0, 1, np.array([5.0])).tolist() == [0.0, 1.0]
    assert (family.lipschitz(0, 0), family.lipschitz(3, 1)) == (0.5, 250.0)


def test_softmax_is_as_steep_as_it_says_in_the_middle_of_two_states():
    family = SoftmaxTransitions(np.zeros((2, 2)), [[[1.0], [-1.0]]] * 2)
    moved = abs(family.at(0, 0, np.array([1e-6]))[0] - family.at(0, 0, np.array([-1e-6]))[0])
    assert moved / 2e-6 == pytest.approx(family.lipschitz(0, 0), rel=1e-9)


def test_parts_for_all_steps_meet_parts_for_each():
    rng = np.random.default_rng(0)
    low, high = random_kernels(rng), random_kernels(rng)
    family = MixtureTransitions(low[0], high, np.zeros(STATES), rng.random((STATES, D)))
    assert family.n_steps == STEPS
    assert family.low[1].tolist() == low[0].tolist()
    x = rng.random((5, D))
    share = np.clip(x @ family.slope[1, 2], 0, 1)[:, None]
    assert family.batch(1, 2, x) == pytest.approx((1 - share) * low[0, 2] + share * high[1, 2])


def test_a_function_hears_step_state_and_points_and_its_constants_may_be_one_number():
    heard = []

    def function(h, s, x):
        heard.append((h, s, x.shape))
        return np.tile([0.5, 0.5], (len(x), 1))

    family = CallableTransitions(function, 0.25, 2, 1)
    family.batch(3, 1, np.zeros((4, 1)))
    assert heard == [(3, 1, (4, 1))]
    assert (family.n_steps, family.lipschitz(3, 1)) == (1, 0.25)
    again = CallableTransitions(**family.parts())
    assert again.constants.tolist() == family.constants.tolist()
    assert again.function is function


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantTransitions(np.ones((2, 3)) / 3), r"transition.probability has the shape \(1, 2, 3\)"),
        (lambda: ConstantTransitions([0.5, 0.5]), "transition.probability has shape 2, expected"),
        (lambda: ConstantTransitions([[0.5, 0.4], [0.0, 1.0]]), r"transition.probability\[h=0, s=0\] sums to 0.9"),
        (lambda: ConstantTransitions([EYE, [[1.0, 0.0], [1.5, -0.5]]]), r"transition.probability\[h=1, s=1\] has the entry -0.5"),
        (lambda: ConstantTransitions([[np.nan, 1.0], [0.0, 1.0]]), r"transition.probability\[0, 0, 0\] is nan"),
        (lambda: MixtureTransitions(EYE, 0.9 * EYE, [0, 0], [[0], [0]]), r"transition.high\[h=0, s=0\] sums to 0.9"),
        (lambda: MixtureTransitions(EYE, EYE, [0, 0, 0], [[0], [0]]), "transition.base has shape 1 x 3, expected 1 x 2"),
        (lambda: MixtureTransitions(EYE, EYE, [0, 0], [0, 0]), "transition.slope has shape 2, expected"),
        (lambda: MixtureTransitions(EYE, np.eye(3), [0, 0], [[0], [0]]), "transition.high has shape 1 x 3 x 3, expected 1 x 2 x 2"),
        (
            lambda: MixtureTransitions([EYE] * 2, [EYE] * 3, [0, 0], [[0], [0]]),
            "transition.low has 2 steps; another part of the transitions has 3",
        ),
        (lambda: SoftmaxTransitions(np.zeros((2, 3)), np.zeros((2, 2, 1))), "transition.base has shape 1 x 2 x 3"),
        (lambda: SoftmaxTransitions(EYE, np.zeros((2, 1))), "transition.slope has shape 2 x 1, expected"),
        (lambda: CallableTransitions(3.0, 1.0, 2, 1), "transition.function is 3.0, which cannot be called"),
        (lambda: CallableTransitions(len, -1.0, 2, 1), r"transition.lipschitz\[h=0, s=0\] is -1"),
        (lambda: CallableTransitions(len, np.inf, 2, 1), "transition.lipschitz.* is inf"),
        (lambda: CallableTransitions(len, [1.0], 2, 1), "transition.lipschitz has shape 1, expected 1 x 2"),
        (lambda: CallableTransitions(len, 1.0, 0, 1), "transition.n_states is 0"),
        (lambda: CallableTransitions(len, 1.0, 2, 0), "transition.n_coordinates is 0"),
        (lambda: CallableTransitions(len, 1.0, 2, 1, 0), "transition.n_steps is 0"),
    ],
)
def test_bad_input_is_refused_by_name(make, message):
    with pytest.raises(InvalidGame, match=message):
        make()


def test_arrays_are_kept_as_read_only_copies():
    given = np.eye(2)
    family = ConstantTransitions(given)
    given[0] = 7.0
    assert family.at(0, 0, np.zeros(1)).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="read-only"):
        family.probability[0, 0, 0] = 2.0
