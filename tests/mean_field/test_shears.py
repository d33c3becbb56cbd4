"""Chains of moves and shears: against the definition, and the bound of their rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.mean_field import Histograms
from eqsolve.mean_field.operators.shears import Shears, chain, lines
from tests.mean_field.oracle import move_law, places
from tests.mean_field.transitions import convolved, matrices

CASES = [(Z, k, name) for Z, k in ((1, 3), (2, 4), (3, 4), (4, 3), (5, 2)) for name in matrices(2)]


def product(found):
    """The matrix that the moves of a chain make, one by one."""
    Z = len(found.relabel)
    matrix = np.eye(Z)[found.relabel]
    for i, j, q in zip(found.source, found.target, found.share, strict=True):
        move = np.eye(Z)
        move[i, i], move[i, j] = 1.0 - q, q
        matrix = matrix @ move
    return matrix


@pytest.mark.parametrize(("Z", "k", "name"), CASES)
@pytest.mark.parametrize("compiled", [False, True])
def test_expected_values_and_their_adjoint(Z, k, name, compiled):
    rows = matrices(Z, seed=Z)[name]
    place = places(k, Z)
    law = np.array([move_law(rows, crowd, place) for crowd in place])
    found = Shears.of(chain(rows, k, 1e-9), k, compiled)
    assert found.error < 1e-8
    values = np.random.default_rng(1).standard_normal((len(law), 3))
    ahead, back = values.copy(), values.copy()
    found.forward(ahead)
    found.backward(back)
    np.testing.assert_allclose(ahead, law @ values, atol=found.error * np.abs(values).max() + 1e-14)
    np.testing.assert_allclose(back, law.T @ values, atol=found.error * np.abs(values).sum() + 1e-14)
    assert np.sum(ahead * values) == pytest.approx(np.sum(values * back), abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.sampled_from(sorted(matrices(2))), st.integers(0, 10_000))
def test_a_chain_is_the_matrix(Z, name, seed):
    rows = matrices(Z, seed=seed)[name]
    found = chain(rows, 1, 1e-9)
    if not np.isfinite(found.amplification):
        return
    np.testing.assert_allclose(product(found), rows, atol=1e-13 * found.amplification)
    assert found.amplification >= 1.0 - 1e-12
    genuine = bool(((found.share >= 0.0) & (found.share <= 1.0)).all())
    assert found.amplification <= 1.0 + 1e-12 if genuine else found.amplification > 1.0
    if name in ("identity", "permutation"):
        assert len(found.share) == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_of_rounding_holds_when_it_is_large(seed):
    """Factors with negative entries, as one order of the states gives them: rounding grows, and the bound with it."""
    k, rows = 8, matrices(4, seed=seed)["random"]
    law = convolved(rows, k)
    found = Shears.of(chain(rows, k, 1.0), k, compiled=False)
    values = np.random.default_rng(seed).choice([-1.0, 1.0], size=(len(law), 4))
    ahead = values.copy()
    found.forward(ahead)
    assert np.abs(ahead - law @ values).max() <= found.error + 1e-14


def test_different_orders_of_rows_and_columns_are_tried_where_it_matters():
    rows = matrices(5, seed=0)["random"]
    same, better = chain(rows, 1, 1.0), chain(rows, 20, 1e-12)
    assert np.array_equal(same.relabel, np.arange(5))
    assert better.amplification < same.amplification
    np.testing.assert_allclose(product(better), rows, atol=1e-13 * better.amplification)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("columns", [1, 5, 70])
def test_the_twins_agree(back, columns):
    rows = matrices(5, seed=3)["lazy"]
    k = 9
    values = np.random.default_rng(0).random((Histograms(k, 5).size, columns))
    answers = []
    for compiled in (False, True):
        table = values.copy()
        found = Shears.of(chain(rows, k, 1e-9), k, compiled)
        (found.backward if back else found.forward)(table)
        answers.append(table)
    np.testing.assert_allclose(*answers, rtol=1e-12)


def test_the_number_of_columns_may_be_compiled_in(monkeypatch):
    from eqsolve.mean_field.operators import shears

    rows, k = matrices(4, seed=3)["lazy"], 12
    values = np.random.default_rng(0).random((Histograms(k, 4).size, 5))
    answers = []
    for least in (10**9, 0):
        monkeypatch.setattr(shears, "KNOWN_FROM", least)
        table = values.copy()
        Shears.of(chain(rows, k, 1e-9), k, compiled=True).forward(table)
        answers.append(table)
    np.testing.assert_allclose(*answers, rtol=1e-12)


@pytest.mark.parametrize("wide", [0, 1, 3])
@pytest.mark.parametrize(("k", "Z"), [(4, 2), (3, 5), (2, 6)])
def test_lines(k, Z, wide):
    table, found = Histograms(k, Z).table, lines(k, Z, wide)
    pairs = [(i, j) for i in range(Z) for j in range(i + 1, Z)]
    for pair, (i, j) in enumerate(pairs):
        assert sorted(found.places[pair]) == list(range(len(table)))
        at = 0
        for n in range(found.starts[pair], found.starts[pair + 1]):
            T, lanes = found.lengths[n], found.lanes[n]
            assert not wide or lanes <= wide
            batch = table[found.places[pair, at : at + (T + 1) * lanes].reshape(T + 1, lanes)]
            others = [z for z in range(Z) if z not in (i, j)]
            np.testing.assert_array_equal(batch[:, :, i], np.arange(T + 1)[:, None] + np.zeros((1, lanes)))
            np.testing.assert_array_equal(batch[:, :, j], T - batch[:, :, i])
            np.testing.assert_array_equal(batch[:, :, others], np.broadcast_to(batch[:1][:, :, others], batch[:, :, others].shape))
            at += (T + 1) * lanes
        assert at == len(table)
