"""The recursion without a negative term and the matrix of all pairs: against convolution."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.errors import InvalidData
from eqsolve.mean_field import Histograms
from eqsolve.mean_field.operators.zones import DENSE, MOST, Dense, Zones, products
from tests.mean_field.transitions import convolved, matrices


@pytest.mark.parametrize("name", sorted(matrices(2)))
@pytest.mark.parametrize(("Z", "k"), [(1, 3), (2, 5), (3, 0), (3, 4), (4, 1), (4, 3)])
@pytest.mark.parametrize("kind", [Zones, Dense])
def test_expected_values_and_their_adjoint(kind, Z, k, name):
    rows = matrices(Z, seed=Z)[name]
    law = convolved(rows, k)
    values = np.random.default_rng(1).standard_normal((len(law), 2))
    found, ahead, back = kind.of(rows, k), values.copy(), values.copy()
    found.forward(ahead)
    found.backward(back)
    assert found.error < 1e-13
    np.testing.assert_allclose(ahead, law @ values, atol=found.error * np.abs(values).max())
    np.testing.assert_allclose(back, law.T @ values, atol=1e-13 * len(law))
    assert (ahead <= values.max(axis=0) + 1e-14).all()
    assert (ahead >= values.min(axis=0) - 1e-14).all()


def test_a_law_stays_a_law():
    rows, k = matrices(4, seed=5)["sharp"], 12
    law = np.random.default_rng(0).dirichlet(np.ones(Histograms(k, 4).size))[:, None]
    Zones.of(rows, k).backward(law)
    assert law.min() >= 0.0
    assert law.sum() == pytest.approx(1.0, abs=1e-12)


def test_too_many_products_are_refused():
    rows = matrices(5)["random"]
    with pytest.raises(InvalidData, match=r"80 agents over 5 states take .* products") as refused:
        Zones.of(rows, 80)
    fits = int(refused.value.remedy.rsplit(" ", 1)[1].rstrip("."))
    assert products(fits, 5) <= MOST < products(fits + 1, 5)


def test_too_large_a_matrix_is_refused():
    with pytest.raises(InvalidData, match=f"have 10,626 histograms\n.*at most {DENSE:,}"):
        Dense.of(matrices(5)["random"], 20)
