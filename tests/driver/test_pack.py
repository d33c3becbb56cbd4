"""Values to files and back: every bit, nothing else."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from eqsolve.aggregative import AggregativeNash, CallablePayoffs, congestion, ev_charging, market, random_affine
from eqsolve.backends import Limits, Termination, solve_program
from eqsolve.certificates import Bound, GapCertificate, Witness
from eqsolve.driver import History
from eqsolve.driver.pack import digest, fingerprint, from_bytes, pack, to_bytes, unpack
from eqsolve.errors import InvalidData
from tests.cases import CASES
from tests.driver.toy import Target

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
@settings(max_examples=200, deadline=None)
def test_plain_values_come_back(value):
    assert from_bytes(to_bytes(value), "x") == value


@given(hnp.arrays(st.sampled_from([np.float64, np.int64, np.int8, np.bool_, "U3"]), hnp.array_shapes(min_dims=0, min_side=0)))
@settings(max_examples=100, deadline=None)
def test_arrays_come_back_to_the_bit(array):
    (back,) = from_bytes(to_bytes((array,)), "x")
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_sparse_matrices_and_nan_come_back():
    matrix = sparse.random_array((4, 3), density=0.5, rng=np.random.default_rng(0), format="csr")
    back = from_bytes(to_bytes({"P": matrix, "x": float("nan")}), "x")
    assert (back["P"] != matrix).nnz == 0
    assert np.isnan(back["x"])


@pytest.mark.parametrize(
    "game", [congestion(20, 3), congestion(20, 3, types=2), random_affine(9, (1, 4), 2), market(9), ev_charging(9, 3)], ids=str
)
def test_games_come_back_and_solve_to_the_same_bytes(game):
    data = to_bytes(game)
    back = from_bytes(data, "game")
    assert to_bytes(back) == data
    assert fingerprint(back) == fingerprint(game)
    algorithm = AggregativeNash(cells=5)
    assert algorithm.solve(back).plays.tobytes() == algorithm.solve(game).plays.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        GapCertificate("NE", 0.5, 0.5, "exact", Witness("player 1", "a -> b", 0.5)),
        Bound("vertex", np.inf, "Theorem 1", {"rounding": np.inf}),
        Limits(3.0, 4),
        AggregativeNash(0.25, cells=(3, 4)),
        Termination.TIME_LIMIT,
    ],
    ids=lambda value: type(value).__name__,
)
def test_dataclasses_and_enums_come_back(value):
    assert from_bytes(to_bytes(value), "x") == value


def test_an_outcome_comes_back():
    case = CASES[0]
    outcome = solve_program(case.program, "highs")
    back = from_bytes(to_bytes(outcome), "outcome")
    assert back.x.tobytes() == outcome.x.tobytes()
    assert back.y.tobytes() == outcome.y.tobytes()
    assert (back.termination, back.objective, back.seconds) == (outcome.termination, outcome.objective, outcome.seconds)


def test_history_comes_back():
    history = History()
    for k in range(3):
        history.append({"gap": 1.0 / (k + 1), "programs": k}, 0.1 * k)
    back = from_bytes(to_bytes(history), "history")
    assert back.equals(history)
    assert back.seconds.tolist() == history.seconds.tolist()
    assert not back.equals(from_bytes(to_bytes(History()), "empty"))
    assert len(from_bytes(to_bytes(History()), "empty")) == 0


def test_a_fingerprint_sees_every_number_and_name():
    game = random_affine(5, 2, 1)
    marks = {fingerprint(game), fingerprint(replace(game, name="other"))}
    for change in (
        {"contribution": game.contribution * (1 + 2**-52)},
        {"welfare": np.where(np.arange(game.n_columns) == 3, -0.125, game.weights)},
        {"payoff": replace(game.payoff, base=game.payoff.base + 1e-9)},
    ):
        marks.add(fingerprint(replace(game, **change)))
    assert len(marks) == 5


def payoff(columns, x):
    return np.zeros(len(columns))


def test_functions_stand_by_name_and_are_in_no_file():
    game = replace(random_affine(3, 2, 1), payoff=CallablePayoffs(payoff, 1.0, 6, 1))
    assert "payoff" in str(pack(game, opaque=True)[0])
    with pytest.raises(InvalidData, match=r"payoff\.function is a function, which cannot be written"):
        to_bytes(game)
    tree, arrays = pack(game, opaque=True)
    with pytest.raises(InvalidData, match="cannot be read back"):
        unpack(tree, arrays)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"object": ["os:system", {}]}, "os:system may not be read"),
        ({"object": ["eqsolve.files:write_text", {}]}, "not a class that files may hold"),
        ({"object": ["eqsolve.nowhere:Thing", {}]}, "there is no class"),
        ({"object": ["eqsolve.backends.outcome:Limits", {"minutes": 3}]}, "cannot be made of minutes"),
        ({"object": ["eqsolve.backends.outcome:Limits.seconds", {}]}, "may not be read"),
        ({"array": "x"}, "the array 'x' is missing"),
        ({"pickle": "x"}, "unknown key 'pickle'"),
        ({"tuple": [], "dict": []}, "not one"),
    ],
)
def test_trees_that_pack_does_not_make_are_refused(tree, message):
    with pytest.raises(InvalidData, match=message):
        unpack(tree, {})


def test_objects_and_broken_files_are_refused():
    with pytest.raises(InvalidData, match="array of Python objects"):
        to_bytes((np.array([object()]),))
    with pytest.raises(InvalidData, match="is a object, which cannot be written"):
        to_bytes(object())
    data = to_bytes(Target(np.arange(3.0)))
    for cut in (0, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(InvalidData, match="not a whole file"):
            from_bytes(data[:cut], "half")
    with np.load(io.BytesIO(data)) as arrays:
        assert arrays["goal"].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": np.arange(2), "a": {"b": np.arange(3)}},
        {1: np.arange(2), "1": np.arange(3)},
        {"": np.arange(2), "array": np.arange(3)},
        {"P": sparse.eye_array(2, format="csr"), "P.data": np.arange(5)},
        {"P.indptr": np.arange(5), "P": sparse.eye_array(2, format="csr")},
    ],
    ids=str,
)
def test_keys_that_lead_to_the_same_path_keep_their_arrays(value):
    back = from_bytes(to_bytes(value), "x")
    assert list(back) == list(value)
    assert to_bytes(back) == to_bytes(value)
    first, second = back.values()
    for one, other in zip((first, second), value.values(), strict=True):
        one, other = (next(iter(part.values())) if isinstance(part, dict) else part for part in (one, other))
        assert (one != other).sum() == 0
        assert one.shape == other.shape


def test_a_fingerprint_sees_shapes_and_not_the_order_in_memory():
    table = np.arange(6.0).reshape(2, 3)
    assert fingerprint(np.array(3.0)) != fingerprint(np.array([3.0]))
    assert fingerprint(table) == fingerprint(np.asfortranarray(table)) != fingerprint(table.reshape(3, 2))


@pytest.mark.parametrize("value", [np.longdouble(1), np.ma.array([1, 2], mask=[0, 1]), 1j], ids=["long", "masked", "complex"])
def test_what_would_lose_something_is_refused(value):
    with pytest.raises(InvalidData, match="the value is a"):
        to_bytes(value)


def _file(tree: str, arrays: dict[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("tree.json", tree)
        for name, content in (arrays or {}).items():
            file.writestr(name, content)
    return buffer.getvalue()


def _head(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


HOSTILE = [
    '{"object": 3}',
    '{"object": ["eqsolve.backends.outcome:Limits", 3]}',
    '{"csr": []}',
    '{"enum": ["eqsolve.driver.status:Status", "NOPE"]}',
    '{"enum": ["eqsolve.backends.outcome:Limits", "x"]}',
    '{"dict": [[[1], 2]]}',
    '{"float": null}',
    '{"array": []}',
    "[" * 100_000,
    "[" * 900 + "]" * 900,
    "\xff",
]


@pytest.mark.parametrize("tree", HOSTILE, ids=lambda tree: tree[:40])
def test_hostile_trees_are_refused(tree):
    with pytest.raises(InvalidData, match="x is not a whole file"):
        from_bytes(_file(tree), "x")


@pytest.mark.parametrize("shape", [(10**15,), (10**30,), (-1,)], ids=str)
def test_arrays_of_impossible_shapes_are_refused(shape):
    with pytest.raises(InvalidData, match="x is not a whole file"):
        from_bytes(_file('{"array": "a"}', {"a.npy": _head(shape)}), "x")


def test_a_fingerprint_sees_the_type_of_numbers_and_not_the_order_of_keys():
    assert fingerprint(np.zeros(3)) != fingerprint(np.zeros(3, dtype=np.int64))
    assert digest({"a": 1, "b": 2}, {}) == digest({"b": 2, "a": 1}, {}) != digest({"a": 2, "b": 1}, {})


def test_files_hold_plain_json_and_no_time_and_arrays_come_back_read_only():
    data = to_bytes({"x": np.arange(3.0), "most": np.inf, "least": -np.inf, "none": np.nan})
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        json.loads(file.read("tree.json"), parse_constant=pytest.fail)
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    back = from_bytes(data, "x")
    assert (back["most"], back["least"]) == (np.inf, -np.inf)
    with pytest.raises(ValueError, match="read-only"):
        back["x"][0] = 1.0
