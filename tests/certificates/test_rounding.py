"""The error bounds under everything, against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.certificates.exact import float_down, fraction, scaled, transposed_product
from eqsolve.certificates.rounding import exact_signs, product_down, residual_interval, sum_down, two_product

WIDE = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.1, 1 / 3, 1e16, -1e16, 1e-200, 1e100, 5e-324, 1.0, -1.0]))
LISTS = st.lists(WIDE, min_size=1, max_size=8)


@given(WIDE, WIDE)
def test_a_product_is_rounded_down_by_at_most_two_units(a, b):
    low, exact = float(product_down(a, b)), Fraction(a) * Fraction(b)
    assert Fraction(low) <= exact
    assert exact <= Fraction(float(np.nextafter(np.nextafter(low, np.inf), np.inf)))


@given(LISTS)
def test_a_sum_is_rounded_down_by_at_most_two_units(terms):
    low, exact = sum_down(np.array(terms)), sum(map(Fraction, terms))
    assert Fraction(low) <= exact
    assert exact <= Fraction(float(np.nextafter(np.nextafter(low, np.inf), np.inf)))


def test_known_roundings_go_down():
    assert Fraction(float(product_down(0.1, 0.7))) < Fraction(0.1) * Fraction(0.7)
    tenths = [k / 10 for k in range(1, 30)]
    assert any(Fraction(x) * Fraction(0.1) < Fraction(x * 0.1) for x in tenths), "some of these round up by themselves"
    for x in tenths:
        assert Fraction(float(product_down(x, 0.1))) <= Fraction(x) * Fraction(0.1)
    assert Fraction(sum_down(np.array([1.0, 0.7 * 2.0**-53]))) <= 1 + Fraction(0.7) / 2**53
    assert sum_down(np.array([1.0, -np.inf])) == -np.inf
    assert float(product_down(0.0, np.inf)) == 0.0


@given(LISTS, st.data())
@settings(max_examples=200, deadline=None)
def test_residual_intervals_signs_and_exact_products(values, data):
    column = np.array(values)
    y = np.array(data.draw(st.lists(WIDE, min_size=len(column), max_size=len(column))))
    c = data.draw(st.one_of(WIDE, st.just(float(column @ y))))
    A = sparse.csc_array(column[:, None])
    exact = Fraction(c) - sum(Fraction(a) * Fraction(b) for a, b in zip(column, y, strict=True))
    middle, radius = residual_interval(np.array([c]), A, y)
    if np.isfinite(middle[0]) and np.isfinite(radius[0]):
        assert abs(Fraction(float(middle[0])) - exact) <= Fraction(float(radius[0]))
    sharp, proven = exact_signs(np.array([c]), A, y, np.array([0]))
    if proven[0]:
        assert (sharp[0] > 0) == (exact > 0)
        assert (sharp[0] == 0) == (exact == 0)
    whole, exponent = transposed_product(A, scaled(y))
    assert Fraction(c) - fraction(whole[0], exponent) == exact
    down = float_down(exact)
    assert Fraction(down) <= exact <= Fraction(float(np.nextafter(down, np.inf)))


@given(WIDE, WIDE)
def test_a_product_splits_without_error(a, b):
    p, e, fits = two_product(np.array([a]), np.array([b]))
    if fits[0]:
        assert Fraction(float(p[0])) + Fraction(float(e[0])) == Fraction(a) * Fraction(b)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_an_error_of_the_multipliers_widens_the_interval(noise):
    A = sparse.csc_array(np.array([[1.0], [-2.0]]))
    _, radius = residual_interval(np.zeros(1), A, np.ones(2), y_radius=np.full(2, noise))
    assert 3 * noise <= radius[0] <= 3 * noise * (1 + 1e-12) + 1e-13
