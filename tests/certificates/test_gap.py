"""The types of a claim: what they accept, what they say, and that JSON gives them back."""

import json
from math import inf, nan

import pytest

from eqsolve.certificates import Bound, GapCertificate, Witness
from eqsolve.errors import InvalidData

WITNESS = Witness("player 418", "road 2 -> 1", 0.00214, step=3, state="worn")


def test_a_certificate_reads_as_one_line():
    gap = GapCertificate("NE", 0.00214, 0.00214, "exact", WITNESS, assumptions=("the kernel is the one given",))
    assert (
        str(gap)
        == 'Nash gap 0.00214, exact; worst: player 418, step 3, "worn": road 2 -> 1\n  assuming the kernel is the one given'
    )


def test_a_bracket_shows_both_ends_and_holds_by_the_upper_one():
    gap = GapCertificate("CCE", 0.1, 0.3, "statistical", confidence=0.95)
    assert str(gap) == "coarse correlated gap in [0.1, 0.3], statistical (95 % confidence)"
    assert gap.holds(0.3)
    assert not gap.holds(0.2999)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lower": 0.4}, "crossed: lower 0.4, upper 0.3"),
        ({"upper": inf}, "upper end of the gap is inf"),
        ({"lower": nan}, "lower end of the gap is nan"),
        ({"upper": "much"}, "'much', not a number"),
        ({"concept": "Nash"}, "concept is 'Nash'"),
        ({"method": "guess"}, "method is 'guess'"),
        ({"method": "exact"}, "cannot range from 0.1 to 0.3"),
        ({"method": "statistical"}, "confidence is None"),
        ({"confidence": 0.9}, "confidence is 0.9 for the method 'bracket'"),
        ({"method": "statistical", "confidence": 1.0}, "not in \\(0, 1\\)"),
        ({"assumptions": "convex"}, "is one string"),
    ],
)
def test_a_false_claim_is_refused(change, said):
    good = {"concept": "NE", "lower": 0.1, "upper": 0.3, "method": "bracket"}
    GapCertificate(**good)
    with pytest.raises(InvalidData, match=said):
        GapCertificate(**{**good, **change})


def test_a_witness_gains_a_finite_amount():
    with pytest.raises(InvalidData, match="gain of the witness is nan"):
        Witness("player 1", "0 -> 1", nan)


@pytest.mark.parametrize(
    "gap",
    [
        GapCertificate("NE", 0.5, 0.5, "exact", WITNESS),
        GapCertificate("optimality", 0.0, 2.0, "relaxation", assumptions=("integrality relaxed",)),
        GapCertificate("CCE", -0.1, 0.2, "statistical", confidence=0.9),
    ],
)
def test_json_gives_the_same_certificate(gap):
    assert GapCertificate.from_json(json.loads(json.dumps(gap.to_json()))) == gap


@pytest.mark.parametrize(
    "bound",
    [
        Bound("tree", 3.0, "Lemma 2", {"width": 1.0, "depth": 2.0}),
        Bound("tree", inf, "Lemma 2"),
        Bound("tree", None, "Lemma 2", {}, ("no tree",)),
    ],
)
def test_json_gives_the_same_bound(bound):
    assert Bound.from_json(json.loads(json.dumps(bound.to_json(), allow_nan=False))) == bound


def test_json_with_a_strange_key_is_refused():
    with pytest.raises(InvalidData, match="not a gap certificate"):
        GapCertificate.from_json({"concept": "NE", "low": 0})
    with pytest.raises(InvalidData, match="not a bound"):
        Bound.from_json({"name": "x"})


@pytest.mark.parametrize(
    ("value", "failed", "said"),
    [
        (1.0, ("not Lipschitz",), "1 failed hypotheses"),
        (None, (), "value None and 0 failed"),
        (nan, (), "not a number >= 0"),
        (-1.0, (), "not a number >= 0"),
        (None, "not Lipschitz", "is one string"),
    ],
)
def test_a_bound_has_a_value_exactly_when_its_hypotheses_hold(value, failed, said):
    with pytest.raises(InvalidData, match=said):
        Bound("vertex rounding", value, "Theorem 4.1", {}, failed)
