"""What backends refuse, with errors that say what was wrong and what to do."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from eqsolve.backends import Limits, Termination, all_backends, get_backend, solve_program
from eqsolve.backends.licences import VENDORS
from eqsolve.errors import BackendUnavailable, BackendUnsupported, InvalidData, InvalidProgram, UnknownName
from eqsolve.programs import Program, Update
from tests.backends.usable import usable, usable_backends
from tests.cases import CASES, program

BY_NAME = {case.name: case.program for case in CASES}
LP, MILP, QP, SOCP, EXP = (BY_NAME[name] for name in ("production", "knapsack", "simplex QP", "distance", "entropy"))
USABLE = [one.name for one in usable()]
OPTION = {
    "scipy": "presolv",
    "gurobi": "TimeLimitt",
    "highs": "time_limitt",
    "cvxpy:CLARABEL": "max_itr",
    "cvxpy:SCS": "max_iter",
    "cvxpy:HIGHS": "presolv",
    "cvxpy:SCIPY": "presolv",
    "cvxpy:GUROBI": "TimeLimitt",
    "cvxpy:CPLEX": "timelimitt",
    "cvxpy:XPRESS": "timelimitt",
    "pulp:PULP_CBC_CMD": "gapRell",
    "pulp:GUROBI": "TimeLimitt",
    "pulp:CPLEX_PY": "timelimitt",
    "pulp:XPRESS_PY": "TIMELIMITT",
    "pulp:HiGHS": "presolv",
}


KNOWN = {
    "scipy": ("presolve", False), "PULP_CBC_CMD": ("presolve", False), "highs": ("presolve", "off"), "HIGHS": ("presolve", "off"),
    "HiGHS": ("presolve", "off"), "SCIPY": ("presolve", False), "gurobi": ("Presolve", 0), "GUROBI": ("Presolve", 0),
    "CPLEX": ("preprocessing.presolve", 0), "CPLEX_PY": ("lpmethod", 1), "XPRESS": ("presolve", 0), "XPRESS_PY": ("PRESOLVE", 0),
    "CLARABEL": ("max_iter", 50), "SCS": ("max_iters", 50_000),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("higsh", "highs"), ("gurobbi", "gurobi"), ("cvxpy:CLARABL", "CLARABEL"), ("pulp:CPLEX_P", "CPLEX_PY"), ("cvxpi", "cvxpy")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(UnknownName, match=nearest):
        get_backend(name)


@pytest.mark.parametrize("name", [one for one in OPTION if one in USABLE])
def test_an_unknown_option_is_refused_with_the_nearest(name):
    with pytest.raises(UnknownName, match=r"(?s)unknown .*option.*Did you mean"):
        get_backend(name).open(LP, {OPTION[name]: 1})


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"options": ["nonsense 3"]}, UnknownName, "nonsense"),
        ({"options": ["preprocess nonsense"]}, InvalidData, "preprocess"),
        ({"options": ["heur off", "ratio many"]}, InvalidData, "ratio"),
        ({"gapRel": -3.0}, InvalidData, "valid range"),
        ({"options": 3}, InvalidData, "options"),
    ],
)
def test_words_that_cbc_would_skip_are_refused(options, error, word):
    with pytest.raises(error, match=word):
        get_backend("pulp:PULP_CBC_CMD").open(LP, options)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("scipy", "presolve", {"a": 1}),
        ("gurobi", "Method", 99),
        ("gurobi", "Method", "dual"),
        ("cvxpy:CLARABEL", "max_iter", "many"),
        ("cvxpy:CPLEX", "timelimit", -5.0),
        ("pulp:GUROBI", "Method", 99),
        ("pulp:CPLEX_PY", "threads", "many"),
        ("pulp:HiGHS", "presolve", "perhaps"),
    ],
)
def test_a_value_that_the_solver_does_not_take_is_refused(name, option, value):
    if name in USABLE:
        with pytest.raises(InvalidData):
            solve_program(LP, name, options={option: value})


@pytest.mark.parametrize("name", [one for one in OPTION if one in USABLE])
def test_a_known_option_reaches_the_solver(name):
    option, value = KNOWN[name.rpartition(":")[2]]
    outcome = solve_program(LP, name, options={option: value})
    assert outcome.objective == pytest.approx(36.0, abs=1e-5)
    assert dict(outcome.options) == {option: value}


@pytest.mark.parametrize(
    ("name", "beyond"),
    [
        ("scipy", QP),
        ("highs", SOCP),
        ("gurobi", EXP),
        ("cvxpy:HIGHS", SOCP),
        ("cvxpy:CLARABEL", MILP),
        ("pulp", QP),
        ("cvxpy:OSQP", LP),
    ],
)
def test_a_kind_beyond_the_capabilities_is_refused(name, beyond):
    with pytest.raises(BackendUnsupported, match=f"does not solve {beyond.kind} programs"):
        solve_program(beyond, name)


def test_limits_that_a_backend_cannot_keep_are_refused():
    with pytest.raises(BackendUnsupported, match="iteration limit"):
        solve_program(LP, "pulp", limits=Limits(iterations=5))
    for name in ("scipy", "gurobi", "cvxpy", "pulp"):
        if name != "gurobi" or name in USABLE:
            with pytest.raises(InvalidData, match="seconds"):
                solve_program(LP, name, limits=Limits(seconds=-1.0))


@pytest.mark.parametrize("name", ["cvxpy:MOSEK", "pulp:MOSEK", "cvxpy:COPT", "pulp:COPT", "cvxpy:SCIP", "pulp:GLPK_CMD"])
def test_what_is_not_here_says_so_and_names_the_remedy(name, capfd):
    backend = get_backend(name)
    probe = backend.probe()
    if probe.usable:
        assert solve_program(LP, name).objective == pytest.approx(36.0)
        return
    assert probe.licensed is (False if probe.installed else None)
    assert any(word in probe.detail for word in ("pip install", "MOSEKLM_LICENSE_FILE", "PATH", "licence"))
    with pytest.raises(BackendUnavailable, match="not licensed" if probe.installed else "not installed") as error:
        solve_program(LP, name)
    assert error.value.remedy == probe.detail
    assert capfd.readouterr() == ("", "")


def test_probes_never_raise_or_print_and_name_the_limits(capfd):
    rows = {one.name: one.probe() for one in all_backends()}
    assert capfd.readouterr() == ("", "")
    assert {"scipy", "highs", "gurobi", "cvxpy:CLARABEL", "cvxpy:MOSEK", "cvxpy:COPT", "pulp:PULP_CBC_CMD", "pulp:MOSEK"} <= set(
        rows
    )
    for name, probe in rows.items():
        assert bool(probe.version) or not probe.installed or name.endswith("_CMD"), name
        assert probe.usable or probe.detail, name
    for name, vendor in (("gurobi", "GUROBI"), ("cvxpy:CPLEX", "CPLEX"), ("cvxpy:XPRESS", "XPRESS")):
        assert not rows[name].usable or rows[name].detail in (VENDORS[vendor].free, "full licence")


def test_listing_the_backends_imports_no_solver():
    code = (
        "import sys, eqsolve.backends as b; b.all_backends(); "
        "print([m for m in ('highspy', 'cvxpy', 'pulp', 'gurobipy', 'cplex', 'xpress', 'mosek') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def wide(n):
    """A program of n columns and one row."""
    return program("wide", np.ones(n), np.ones((1, n)), (1, np.inf))


@pytest.mark.parametrize(
    ("name", "vendor", "size"),
    [
        ("gurobi", "GUROBI", 2100),
        ("cvxpy:GUROBI", "GUROBI", 2100),
        ("pulp:GUROBI", "GUROBI", 2100),
        ("cvxpy:CPLEX", "CPLEX", 1100),
        ("pulp:CPLEX_PY", "CPLEX", 1100),
        ("cvxpy:XPRESS", "XPRESS", 5200),
        ("pulp:XPRESS_PY", "XPRESS", 5200),
    ],
)
def test_a_size_beyond_the_licence_names_sizes_limit_and_remedy(name, vendor, size):
    if name not in USABLE:
        return
    if get_backend(name).probe().detail == "full licence":
        assert solve_program(wide(size), name).objective == pytest.approx(1.0)
        return
    with pytest.raises(BackendUnavailable, match=f"{size} columns and 1 rows") as error:
        solve_program(wide(size), name)
    assert VENDORS[vendor].free in error.value.what
    assert error.value.remedy == VENDORS[vendor].remedy


def test_solving_prints_nothing(capfd):
    for kind, one in (("LP", LP), ("MILP", MILP), ("QP", QP), ("SOCP", SOCP)):
        for name in usable_backends(kind):
            solve_program(one, name)
            assert capfd.readouterr() == ("", ""), name


def arrays(**changed):
    values = {
        "name": "bad", "sense": "min", "c": [1.0, 1.0], "A": sparse.csc_array([[1.0, 1.0]]), "row_lower": [1.0], "row_upper": [2.0],
        "col_lower": [0.0, 0.0], "col_upper": [1.0, 1.0],
    }  # fmt: skip
    return Program(**{**values, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"c": [1.0, np.nan]}, r"c\[1\] is nan"),
        ({"A": sparse.csc_array([[1.0, np.inf]])}, r"A\[0, 1\] is inf"),
        ({"row_lower": [3.0]}, "row.*crossed: lower 3, upper 2"),
        ({"col_lower": [0.0, 2.0]}, r"x\[1\] are crossed"),
        ({"Q": sparse.csc_array(np.diag([1.0, -1.0]))}, "not convex"),
        ({"sense": "max", "Q": sparse.csc_array(np.eye(2))}, "not concave"),
        ({"c": [1.0]}, "c has shape 1, expected 2"),
    ],
)
def test_bad_numbers_never_reach_a_backend(changed, message):
    with pytest.raises(InvalidProgram, match=message):
        arrays(**changed)


@pytest.mark.parametrize(
    "name", [one for one in ("scipy", "gurobi", "cvxpy", "pulp") if one == "cvxpy" or one == "pulp" or one in USABLE]
)
def test_a_bad_update_changes_nothing(name):
    with get_backend(name).open(LP) as session:
        for bad in (
            Update(c=np.array([np.nan, 1.0])),
            Update(row_lower=np.array([0.0, 20.0, 0.0])),
            Update(c=np.array([1.0, 1.0]), col_upper=np.array([-1.0, 5.0])),
        ):
            with pytest.raises(InvalidProgram):
                session.update(bad)
        outcome = session.solve()
    assert outcome.termination is Termination.OPTIMAL
    assert outcome.objective == pytest.approx(36.0)


@pytest.mark.parametrize("name", [None, 3, b"highs"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InvalidData, match="not a name"):
        get_backend(name)
