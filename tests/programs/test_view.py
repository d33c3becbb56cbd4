"""Programs as text: what a person reads is what the arrays say."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.errors import UnknownName
from eqsolve.programs import ProgramBuilder


def stage(n=1000, actions=3):
    b = ProgramBuilder("aggregative stage program", "max")
    upper = np.ones((n, actions))
    upper[: n // 4, 0] = 0.0
    p = b.columns("p", (n, actions), axes=("player", "action"), upper=upper)
    slack = b.columns("slack", lower=-np.inf)
    one = b.rows("one_action", (n,), axes=("player",), lower=1.0, upper=1.0)
    load = b.rows("aggregator", (2,), axes=("coordinate",), lower=[0.25, 0.5], upper=[0.75, 1.0])
    b.add(one, p, np.repeat(np.arange(n), actions), np.arange(n * actions))
    b.add(load, p, np.repeat([0, 1], n * actions), np.tile(np.arange(n * actions), 2), np.linspace(1, 2, 2 * n * actions) / n)
    b.add(load, slack, [0, 1], [0, 0], -0.5)
    b.objective(p, np.linspace(1, 2, n * actions))
    return b.build(offset=12.81, note='step 4, state "worn", cell 217 of 1681')


def lines_of(program):
    return [" ".join(line.split()) for line in str(program).splitlines()]


def test_a_stage_program_reads_like_the_paper():
    assert lines_of(stage()) == [
        'aggregative stage program LP, maximise step 4, state "worn", cell 217 of 1681',
        "columns p[player, action] 1000 x 3 in [0, 1] 250 fixed at 0",
        "slack 1 free",
        "rows one_action[player] 1000 sum_j p[i, j] = 1",
        "aggregator[coordinate] 2 0.25..0.5 <= sum_jk a_ijk p[j, k] - 0.5 slack <= 0.75..1",
        "objective sum_ij c_ij p[i, j] + 12.81 3,000 terms, |c| in 1..2",
    ]
    assert len(str(stage()).splitlines()[0]) == 118


def block_text(build, **bounds):
    """The line of one row block over fresh columns."""
    b = ProgramBuilder("algebra")
    build(b)
    return next(line for line in lines_of(b.build()) if line.startswith("rows")).removeprefix("rows ")


def test_flow_rows_sum_over_the_axis_that_the_rows_lack():
    def build(b):
        mu = b.columns("mu", (2, 3, 4), axes=("step", "state", "action"))
        rows = b.rows("mass", (3,), axes=("state",), upper=0.5)
        _, state, _ = np.unravel_index(np.arange(24), (2, 3, 4))
        b.add(rows, mu, state, np.arange(24), 2.0)

    assert block_text(build) == "mass[state] 3 sum_jk 2 mu[j, i, k] <= 0.5"


def test_ragged_columns_and_elementwise_rows():
    def build(b):
        p = b.columns("p", counts=[2, 3, 1], axes=("player", "action"))
        rows = b.rows("one", (3,), axes=("player",), lower=1.0)
        b.add(rows, p, np.repeat([0, 1, 2], [2, 3, 1]), np.arange(6), -1.0)

    assert block_text(build) == "one[player] 3 -sum_j p[i, j] >= 1"

    def pairs(b):
        p, q = (b.columns(name, counts=[2, 3, 1], axes=("player", "action")) for name in "pq")
        rows = b.rows("link", counts=[2, 3, 1], axes=("player", "action"), upper=0.0)
        b.add(rows, p, np.arange(6), np.arange(6))
        b.add(rows, q, np.arange(6), np.arange(6), -3.0)

    assert block_text(pairs) == "link[player, action] 3 x 1..3 p[i, j] - 3 q[i, j] <= 0"


def test_a_missing_entry_is_not_passed_over():
    def build(b):
        p = b.columns("p", (2, 3), axes=("player", "action"))
        rows = b.rows("one", (2,), axes=("player",), lower=1.0, upper=1.0)
        b.add(rows, p, [0, 0, 0, 1, 1], [0, 1, 2, 3, 4])

    assert block_text(build) == "one[player] 2 a'p (2..3 terms a row, a = 1) = 1"


def test_an_entry_of_another_player_is_not_passed_over():
    def build(b):
        p = b.columns("p", (2, 3), axes=("player", "action"))
        rows = b.rows("one", (2,), axes=("player",), lower=1.0, upper=1.0)
        b.add(rows, p, [0, 0, 0, 1, 1, 1], [0, 1, 3, 2, 4, 5])

    assert block_text(build) == "one[player] 2 a'p (3 terms a row, a = 1) = 1"


def test_mixed_free_and_empty_rows():
    def build(b):
        x = b.columns("x", (2,), axes=("j",))
        rows = b.rows("r", (4,), axes=("r",), lower=[1, 1, -np.inf, -np.inf], upper=[1, np.inf, 5, np.inf])
        b.add(rows, x, [0, 1, 2, 3], [0, 0, 1, 1])

    assert block_text(build) == "r[r] 4 a'x (1 terms a row, a = 1) mixed: 1 =, 1 <=, 1 >=, 1 free"

    def empty(b):
        b.rows("r", (2,), lower=-1.0)

    assert block_text(empty) == "r[index] 2 0 >= -1"


def cones():
    b = ProgramBuilder("cones")
    x = b.columns("x", (3,), axes=("j",), integer=[True, False, False])
    y = b.columns("y", (2,), upper=2.0, integer=True)
    for kind, size in (("soc", 3), ("rsoc", 3), ("exp", 3), ("soc", 2)):
        rows = b.rows(f"{kind}{size}", (size,))
        b.add(rows, x, np.arange(size), np.arange(size))
        b.cone(kind, rows, shift=[0.0, 1.5, -2.0][:size])
    b.quadratic(y, y, [0, 1], [0, 1], 2.0)
    return b.build()


def test_cones_integers_and_quadratics_are_told():
    text = lines_of(cones())
    assert text[0] == "cones MIEXP, minimise"
    assert "columns x[j] 3 >= 0 1 integer" in text
    assert "y[index] 2 in [0, 2] integer" in text
    assert "rows soc3[index] 3 x[i] in soc cones" in text
    assert "cones 2 second-order, 2..3 rows each z0 >= |(z1, ...)|" in text
    assert text[-1] == "objective x'Qx/2 Q 2 entries"
    assert cones().row("rsoc3", 1) == "rsoc3[1]: x[1] + 1.5   (z1 of 3 in rotated second-order cone 1, 2 z0 z1 >= |(z2, ...)|^2)"
    assert cones().row("exp3", 0) == "exp3[0]: x[0]   (z0 of 3 in exponential cone 2, z1 exp(z0/z1) <= z2)"


def test_a_structure_is_named():
    class Special:
        name = "multiple choice"

        def refuses(self, program):
            return None

        def solve(self, program):
            raise AssertionError

    assert lines_of(replace(stage(), structure=Special()))[-1] == "structure multiple choice"


def test_a_long_row_keeps_its_ends_and_counts_its_middle():
    text = stage().row("aggregator", 1)
    assert text.startswith("aggregator[1]: 0.5 <= 0.00150")
    assert "+ ... 2,989 more terms ..." in text
    assert text.endswith(" p[999, 2] - 0.5 slack <= 1")
    assert text.count("p[") == 11
    with pytest.raises(UnknownName, match="coordinate 2 is not in"):
        stage().row("aggregator", 2)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_short_rows_say_exactly_what_the_matrix_holds(seed):
    rng = np.random.default_rng(seed)
    A = rng.integers(-3, 4, (4, 5)) * 0.5
    b = ProgramBuilder("rows")
    x = b.columns("x", (5,))
    b.add(b.rows("r", (4,), lower=-1.0, upper=2.5), x, sparse.csc_array(A))
    program = b.build()
    for i in range(4):
        body = re.fullmatch(rf"r\[{i}\]: -1 <= (.*) <= 2\.5", program.row("r", i)).group(1)
        found = np.zeros(5)
        for sign, size, j in re.findall(r"([+-]?) ?(\d+\.?\d* )?x\[(\d)\]", body):
            found[int(j)] = (-1 if sign == "-" else 1) * float(size or 1)
        np.testing.assert_array_equal(found, A[i])


def test_a_column_lists_bounds_objective_and_rows():
    assert stage().column("p", 418, 2).splitlines()[0] == "0 <= p[418, 2] <= 1"
    listed = dict(line.split(maxsplit=1) for line in stage().column("p", 418, 2).splitlines()[1:])
    assert set(listed) == {"objective", "one_action[418]", "aggregator[0]", "aggregator[1]"}
    assert listed["one_action[418]"] == "1"
    program = stage()
    assert float(listed["aggregator[1]"]) == pytest.approx(program.A[1001, 418 * 3 + 2], rel=1e-9)
    assert cones().column("y", 1).splitlines()[:3] == ["0 <= y[1] <= 2, integer", "  objective    0", "  Q with y[1]  2"]
    b = ProgramBuilder("long")
    b.add(b.rows("r", (100,)), b.columns("x", lower=-np.inf), np.arange(100), np.zeros(100, int), np.arange(1.0, 101.0))
    text = b.build().column("x").splitlines()
    assert text[0] == "x free"
    assert text[14] == "  ... 76 more rows ..."
    assert text[15].split() == ["r[88]", "89"]
    assert text[-1].split() == ["r[99]", "100"]


def test_the_summary_counts_what_is_there():
    found = stage().summary()
    json.dumps(found)
    expected = {
        "kind": "LP",
        "sense": "max",
        "columns": 3001,
        "rows": 1002,
        "nonzeros": 9002,
        "objective_terms": 3000,
        "fixed_columns": 250,
        "free_columns": 1,
        "integer_columns": 0,
        "equality_rows": 1000,
        "ranged_rows": 2,
        "empty_rows": 0,
        "range_c": [1.0, 2.0],
        "range_rhs": [0.25, 1.0],
        "range_bounds": [1.0, 1.0],
        "range_Q": None,
    }
    assert {key: found[key] for key in expected} == expected
    other = cones().summary()
    assert other["cones"] == {"exp": 1, "rsoc": 1, "soc": 2}
    assert other["cone_rows"] == 11
    assert other["free_rows"] == 0
    assert other["empty_columns"] == 2
    assert other["integer_columns"] == 3
    assert other["range_Q"] == [2.0, 2.0]
    assert ProgramBuilder("nothing").build().summary()["range_A"] is None


def test_a_program_of_nothing_has_a_text():
    assert lines_of(ProgramBuilder("nothing").build(offset=-1.5)) == [
        "nothing LP, minimise",
        "columns x[column] 0 none",
        "rows row[row] 0 none",
        "objective -1.5",
    ]
