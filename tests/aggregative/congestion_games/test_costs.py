"""Families of costs: integral, cost and derivative fit together, and so do all forms that they take."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    BPRCosts,
    CallableCosts,
    MarginalCosts,
    MixedCosts,
    PiecewiseLinearCosts,
    PolynomialCosts,
    SumOfPowers,
    TolledCosts,
)
from eqsolve.driver.pack import Unwritable, fingerprint, from_bytes, to_bytes
from eqsolve.errors import InvalidGame

BPR = BPRCosts([1.0, 2.0, 3.0], [0.15, 0.5, 0.0], [10.0, 20.0, 0.0], [4.0, 1.5, 4.0])
AFFINE = AffineCosts([1.0, 0.0, 2.0], [0.5, 2.0, 0.0])
POLYNOMIAL = PolynomialCosts([[1.0, 0.0, 0.25], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
POWERS = SumOfPowers([[1.0, 0.5], [2.0, 0.1], [0.0, 1.0]], [[0.0, 2.5], [1.0, 3.0], [0.0, 1.0]])
LINES = PiecewiseLinearCosts(([0.0, 4.0, 9.0], [0.0, 5.0], [0.0]), ([1.0, 2.0, 6.0], [3.0, 3.5], [7.0]))


def waves(x):
    return 2.0 + x + np.sin(x)


def slopes(x):
    return 1.0 + np.cos(x)


CALLABLE = CallableCosts(waves, slopes, 3)
FAMILIES = {
    "bpr": BPR,
    "affine": AFFINE,
    "polynomial": POLYNOMIAL,
    "powers": POWERS,
    "lines": LINES,
    "callable": CALLABLE,
    "marginal": MarginalCosts(BPR),
    "marginal lines": MarginalCosts(LINES),
    "marginal callable": MarginalCosts(CALLABLE),
    "tolled": TolledCosts(POLYNOMIAL, [0.5, 0.0, 3.0]),
    "tolled lines": TolledCosts(LINES, [0.5, -1.0, 3.0]),
    "mixed": MixedCosts((AFFINE.take(np.array([1])), BPR.take(np.array([0, 2]))), [1, 0, 1]),
    "mixed lines": MixedCosts((LINES.take(np.array([2, 0])), AFFINE.take(np.array([0]))), [0, 1, 0]),
}
FLOWS = np.array([[0.3, 0.7, 1.1], [3.0, 6.0, 2.0], [7.0, 4.5, 12.0], [10.5, 20.0, 5.5]])


@pytest.mark.parametrize("name", FAMILIES)
def test_cost_is_the_derivative_of_the_integral_and_has_the_derivative(name):
    costs, h = FAMILIES[name], 1e-6
    for x in FLOWS:
        assert (costs.integral(x + h) - costs.integral(x - h)) / (2 * h) == pytest.approx(costs.cost(x), rel=1e-6)
        # The derivative of marginal costs of functions rests on a difference itself.
        close = {"rel": 1e-3} if name == "marginal callable" else {"rel": 1e-5, "abs": 1e-8}
        assert (costs.cost(x + h) - costs.cost(x - h)) / (2 * h) == pytest.approx(costs.derivative(x), **close)
        if name != "marginal callable":
            assert (costs.derivative(x + h) - costs.derivative(x - h)) / (2 * h) == pytest.approx(
                costs.curvature(x), rel=1e-3, abs=1e-4
            )
    assert (costs.integral(np.zeros(3)) == 0).all()
    assert (costs.cost(np.full(3, -1.0)) == costs.cost(np.zeros(3))).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_all_forms_say_the_same(name):
    costs = FAMILIES[name]
    assert costs.size == 3
    some = np.array([2, 0])
    assert costs.take(some).cost(FLOWS[:, some]) == pytest.approx(costs.cost(FLOWS)[:, some], rel=1e-12)
    assert costs.take(some).integral(FLOWS[:, some]) == pytest.approx(costs.integral(FLOWS)[:, some], rel=1e-12)
    powers, points = costs.powers(), costs.breakpoints()
    if powers is not None:
        a, e = powers
        assert (a * FLOWS[:, :, None] ** e).sum(axis=2) == pytest.approx(costs.cost(FLOWS), rel=1e-12)
    if points is not None:
        for r, (x, c) in enumerate(points):
            at = np.zeros((len(x), 3))
            at[:, r] = x
            assert costs.cost(at)[:, r] == pytest.approx(c, rel=1e-12)
    most = FLOWS.max(axis=0)
    assert (costs.steepest(most) >= np.abs(costs.derivative(FLOWS)).max(axis=0) * (1 - 1e-2)).all()


def test_which_forms_there_are():
    assert {name for name, one in FAMILIES.items() if one.powers() is not None} == {
        *("bpr", "affine", "polynomial", "powers", "marginal", "tolled", "mixed")
    }
    assert {name for name, one in FAMILIES.items() if one.breakpoints() is not None} == {"lines", "tolled lines"}


def test_what_is_proved_of_their_shape():
    assert all(one.is_nondecreasing for name, one in FAMILIES.items() if name not in ("marginal callable", "marginal lines"))
    assert MarginalCosts(LINES).is_nondecreasing
    assert not MarginalCosts(CALLABLE).is_nondecreasing
    assert MarginalCosts(CallableCosts(waves, slopes, 3, convex=True)).is_nondecreasing
    falling = AffineCosts([3.0], [-0.1])
    assert not falling.is_nondecreasing
    assert falling.is_convex
    assert not PiecewiseLinearCosts(([0.0, 1.0],), ([2.0, 1.0],)).is_nondecreasing
    assert not PiecewiseLinearCosts(([0.0, 1.0, 2.0],), ([1.0, 3.0, 4.0],)).is_convex
    assert not PolynomialCosts([[1.0, 1.0, -0.01]]).is_convex
    assert not MixedCosts((falling, AFFINE), [1, 0, 1, 1]).is_nondecreasing
    assert not MarginalCosts(PiecewiseLinearCosts(([0.0, 1.0, 2.0],), ([1.0, 3.0, 4.0],))).is_nondecreasing


def test_marginal_costs_are_those_of_one_more_unit_for_everybody():
    costs, h = MarginalCosts(POLYNOMIAL), 1e-6
    for x in FLOWS:
        total = ((x + h) * POLYNOMIAL.cost(x + h) - (x - h) * POLYNOMIAL.cost(x - h)) / (2 * h)
        assert costs.cost(x) == pytest.approx(total, rel=1e-6)


def test_an_integral_that_is_given_is_used():
    given = CallableCosts(waves, slopes, 3, integral=lambda x: 2 * x + x**2 / 2 + 1 - np.cos(x))
    assert given.integral(FLOWS) == pytest.approx(CALLABLE.integral(FLOWS), rel=1e-10)


@pytest.mark.parametrize("name", FAMILIES)
def test_files_give_them_back(name):
    costs = FAMILIES[name]
    if name in ("callable", "marginal callable"):
        with pytest.raises(Unwritable):
            to_bytes(costs)
        assert fingerprint(costs) == fingerprint(costs)
        return
    back = from_bytes(to_bytes(costs), "costs")
    assert type(back) is type(costs)
    assert (back.cost(FLOWS) == costs.cost(FLOWS)).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: BPRCosts([1.0, -1.0], 0.15, [1.0, 1.0], 4.0), r"free_flow\[1\] is -1"),
        (lambda: BPRCosts([1.0, 1.0], 0.15, [1.0, -2.0], 4.0), r"capacity\[1\] is -2"),
        (lambda: BPRCosts([1.0, 1.0], 0.15, [0.0, 2.0], 4.0), r"capacity\[0\] is 0, not above 0"),
        (lambda: BPRCosts([1.0], [-0.1], [1.0], 4.0), r"b\[0\] is -0.1"),
        (lambda: BPRCosts([1.0], 0.15, [1.0], 0.5), r"power\[0\] is 0.5"),
        (lambda: BPRCosts([1.0], 0.15, [1e-200], 4.0), r"capacity\[0\] is 1e-200: the cost overflows"),
        (lambda: BPRCosts([1.0, 2.0], [0.15], [1.0, 1.0], 4.0), "b has shape 1, expected 2"),
        (lambda: BPRCosts([np.nan], 0.15, [1.0], 4.0), r"free_flow\[0\] is nan"),
        (lambda: AffineCosts([1.0, -0.5], [1.0, 1.0]), r"costs at no flow\[1\] is -0.5"),
        (lambda: PolynomialCosts(np.zeros((2, 0))), "no columns"),
        (lambda: SumOfPowers([[1.0]], [[0.5]]), r"exponent\[0, 0\] is 0.5"),
        (lambda: PiecewiseLinearCosts(([1.0, 2.0],), ([1.0, 2.0],)), r"flow\[0\] begins at 1.0, not at 0"),
        (lambda: PiecewiseLinearCosts(([0.0, 2.0, 2.0],), ([1.0, 2.0, 3.0],)), r"flow\[0\] goes from 2 to 2"),
        (lambda: PiecewiseLinearCosts(([0.0, 2.0],), ([1.0, -2.0],)), r"cost\[0, 1\] is -2"),
        (lambda: PiecewiseLinearCosts(([0.0, 2.0],), ([1.0],)), r"cost\[0\] has shape 1, expected 2"),
        (lambda: PiecewiseLinearCosts(([0.0],), ([1.0], [2.0])), "costs of 2 resources, and flows of 1"),
        (lambda: CallableCosts(3, slopes, 2), "costs.function is 3, which cannot be called"),
        (
            lambda: CallableCosts(lambda x: x[..., :1], slopes, 2).cost(np.ones(2)),
            r"costs.function\(flow\) has shape 1, expected 2",
        ),
        (lambda: TolledCosts(AFFINE, [0.0, -0.5, 0.0]), r"toll\[1\] is -0.5: the cost without flow is -0.5"),
        (lambda: TolledCosts(AFFINE, [0.0]), "toll has shape 1, expected 3"),
        (lambda: MixedCosts((AFFINE,), [0, 1, 0]), r"which\[1\] is 1; there are 1 families"),
        (lambda: MixedCosts((AFFINE, AFFINE), [0, 1, 0]), "family 0 has costs of 3 resources; which gives it 2"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InvalidGame, match=words):
        make()


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        (AffineCosts([3.0, 1.0], [0.0, -0.5]), "the cost of resource 1 is -0.25 at flow 2.5, not 0 or more"),
        (PolynomialCosts([[1.0] + [0.0] * 59 + [1e300]]), "the cost of resource 0 is inf"),
        (CallableCosts(lambda x: 5.0 - x / 10, lambda x: -0.1 + 0 * x, 2), "the cost of resource 0 falls from 5 to"),
    ],
)
def test_costs_that_go_wrong_between_no_flow_and_all_the_demand(costs, words):
    with pytest.raises(InvalidGame, match=words):
        costs.check(np.full(costs.size, 40.0))
