"""The operators of all global states: which method is taken, what it gives, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.errors import InvalidData, UnknownName
from eqsolve.mean_field import Histograms
from eqsolve.mean_field.operators.lift import THREADED_FROM, lift
from tests.mean_field import oracle
from tests.mean_field.games import cases
from tests.mean_field.transitions import convolved, matrices


@pytest.mark.parametrize("method", ["auto", "shears", "zones", "dense"])
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_against_enumeration(case, method):
    game, k = case.game, case.k
    found = lift(game.local_rows(case.local), k, method, accuracy=1e-7)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, found.size))
    moves = oracle.crowd_kernel(game, k, case.local)
    ahead = found.apply(values)
    np.testing.assert_allclose(ahead, np.einsum("gde,ce->gcd", moves, values), atol=found.error * np.abs(values).max() + 1e-14)
    mass = rng.random(ahead.shape)
    np.testing.assert_allclose(found.transpose(mass), np.einsum("gde,gcd->ce", moves, mass), atol=1e-10)


def test_large_amplification_is_noticed_and_avoided():
    """No order of the states gives good factors here: 9 agents are as many as shears can bear, 14 are too many."""
    rows = np.stack([matrices(5, seed=0)["random"], matrices(5, seed=0)["lazy"]])
    for k, names in ((9, ("shears", "shears")), (14, ("zones", "shears"))):
        found = lift(rows, k, accuracy=1e-12 if k == 14 else 1e-6)
        assert found.methods == names
        assert found.amplification[0] > 1.2
        assert found.amplification[1] < 1.01
    with pytest.raises(InvalidData, match=r"the factors of rows\[0\] amplify rounding .* for 40 agents"):
        lift(rows, 40, "shears")


def test_few_histograms_take_the_matrix_where_factors_are_bad():
    found = lift(matrices(5, seed=0)["random"][None], 7, accuracy=1e-14)
    assert found.methods == ("dense",)


def test_methods_agree_beyond_enumeration():
    rows = np.stack([matrices(3, seed=seed)[name] for seed, name in enumerate(("lazy", "zeros", "random"))])
    values = np.random.default_rng(0).random((2, Histograms(20, 3).size))
    answers = [lift(rows, 20, method).apply(values) for method in ("dense", "zones", "auto")]
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-13)
    np.testing.assert_allclose(answers[2], answers[0], atol=1e-9)
    law = convolved(rows[0], 20)
    np.testing.assert_allclose(answers[0][0], values @ law.T, atol=1e-13)


def test_answers_do_not_depend_on_threads():
    rows = np.stack([matrices(5, seed=seed)["lazy"] for seed in range(3)])
    k, columns = 14, 7
    values = np.random.default_rng(0).random((columns, Histograms(k, 5).size))
    assert values.size >= THREADED_FROM
    one, two = (lift(rows, k, "shears", threads=threads) for threads in (1, 2))
    ahead = one.apply(values)
    assert ahead.tobytes() == two.apply(values).tobytes()
    back = one.transpose(ahead)
    assert back.tobytes() == two.transpose(ahead).tobytes()
    assert np.sum(back * values) == pytest.approx(np.sum(ahead * ahead), rel=1e-12)


def test_values_are_not_changed():
    rows = matrices(3)["lazy"][None]
    values = np.random.default_rng(0).random((2, Histograms(6, 3).size))
    before = values.copy()
    found = lift(rows, 6)
    found.transpose(found.apply(values))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    ("rows", "k", "match"),
    [
        ([[[0.5, 0.5], [0.0, 0.0]]], 2, r"rows\[0, 1\] is empty"),
        ([[[0.5, 0.6], [0.0, 1.0]]], 2, r"rows\[0, 0\] sums to 1.1"),
        ([[[1.5, -0.5], [0.0, 1.0]]], 2, r"rows\[0, 0"),
        ([[[0.5, 0.5]]], 2, "rows has shape 1 x 1 x 2"),
        (np.eye(2)[None], -1, "k is -1"),
        (np.eye(5)[None], 2000, "2,000 agents over 5 states have"),
        (np.eye(2)[None], 2.5, "k is 2.5"),
    ],
)
def test_bad_input(rows, k, match):
    with pytest.raises(InvalidData, match=match):
        lift(rows, k)


def test_more_bad_input():
    found = lift(np.eye(2)[None], 3)
    with pytest.raises(InvalidData, match="values has shape 1 x 3"):
        found.apply(np.zeros((1, 3)))
    with pytest.raises(InvalidData, match="mass has shape"):
        found.transpose(np.zeros((2, 1, 4)))
    with pytest.raises(UnknownName, match="unknown method 'shear'"):
        lift(np.eye(2)[None], 3, "shear")
