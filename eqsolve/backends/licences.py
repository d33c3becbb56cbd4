"""Which commercial solvers are installed and licensed here, and how large a program their licence takes."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import Any

from eqsolve.backends.base import Probe
from eqsolve.backends.requests import installed_version
from eqsolve.errors import BackendUnavailable
from eqsolve.programs import Program


@dataclass(frozen=True, slots=True)
class Vendor:
    """A commercial solver: its package, the size of its free licence, and where a larger one comes from.

    ``columns`` and ``rows`` are the free licence's limits; ``total`` the limit on their sum; None where there is none.
    """

    module: str
    distribution: str
    free: str
    remedy: str
    marks: tuple[str, ...]
    columns: int | None = None
    rows: int | None = None
    total: int | None = None


VENDORS = {
    "GUROBI": Vendor(
        "gurobipy",
        "gurobipy",
        "size-limited licence: 2000 columns, 2000 rows, 200 columns with quadratic terms",
        "Get a licence at gurobi.com and put gurobi.lic where GRB_LICENSE_FILE points, or use 'highs'.",
        ("size-limited license", "10010"),
        columns=2000,
        rows=2000,
    ),
    "CPLEX": Vendor(
        "cplex",
        "cplex",
        "community edition: 1000 columns, 1000 rows",
        "Install the full CPLEX Studio and run its `setup.py`, or use 'highs'.",
        ("problem size limits exceeded", "1016"),
        columns=1000,
        rows=1000,
    ),
    "XPRESS": Vendor(
        "xpress",
        "xpress",
        "community licence: 5000 rows and columns together",
        "Set XPAUTH_PATH to a full licence file (xpauth.xpr), or use 'highs'.",
        ("too many rows and columns", "license limit"),
        total=5000,
    ),
    "MOSEK": Vendor(
        "mosek",
        "mosek",
        "",
        "Get a licence file at mosek.com and put it at ~/mosek/mosek.lic or where MOSEKLM_LICENSE_FILE points.",
        ("err_missing_license_file", "err_license", "1008"),
    ),
    "COPT": Vendor(
        "coptpy",
        "coptpy",
        "",
        "Get a licence at copt.de (COPT_LICENSE_DIR points to it).",
        ("license", "licence"),
    ),
}


@lru_cache(maxsize=len(VENDORS))
def vendor_probe(vendor: str) -> Probe:
    """Installed, licensed, version and what the licence allows; found out once, without raising or printing."""
    one = VENDORS[vendor]
    if find_spec(one.module) is None:
        return Probe(False, None, "", f"pip install {one.distribution}")
    version = installed_version(one.distribution)
    try:
        with silence():
            detail = _CHECKS[vendor]()
    except Exception as cause:  # a vendor's own error classes cannot be named before its import, and a probe never raises
        return Probe(True, False, version, f"{str(cause).strip().splitlines()[0] if str(cause).strip() else cause!r}. {one.remedy}")
    return Probe(True, True, version, detail)


def _gurobi() -> str:
    import gurobipy

    with gurobipy.Env(empty=True) as env:
        env.setParam("OutputFlag", 0)
        env.start()
        restricted = env.getParam("LicenseID") == 0
    return VENDORS["GUROBI"].free if restricted else "full licence"


def _cplex() -> str:
    import cplex

    with cplex.Cplex() as model:
        for set_stream in (model.set_log_stream, model.set_error_stream, model.set_warning_stream, model.set_results_stream):
            set_stream(None)
        model.variables.add(obj=[0.0] * 1001)
        try:
            model.solve()
        except cplex.exceptions.CplexSolverError as cause:
            if cause.args[-1] != 1016:
                raise
            return VENDORS["CPLEX"].free
    return "full licence"


def _xpress() -> str:
    import xpress

    problem: Any = xpress.problem()
    n = 5001
    add = problem.addCols if hasattr(problem, "addCols") else problem.addcols
    try:
        add([0.0] * n, [0] * (n + 1), [], [], [0.0] * n, [1.0] * n)
        problem.optimize()
    except xpress.SolverError:
        return VENDORS["XPRESS"].free
    return "full licence"


def _mosek() -> str:
    import mosek

    with mosek.Env() as env:
        env.checkoutlicense(mosek.feature.pton)
    return "full licence"


def _copt() -> str:
    import_module("coptpy").Envr().close()
    return "full licence"


_CHECKS: dict[str, Callable[[], str]] = {"GUROBI": _gurobi, "CPLEX": _cplex, "XPRESS": _xpress, "MOSEK": _mosek, "COPT": _copt}


def too_large(backend: str, vendor: str, program: Program, note: str = "") -> BackendUnavailable:
    """The error for a program beyond the licence that is here."""
    one = VENDORS[vendor]
    return BackendUnavailable(
        f"backend {backend!r} is licensed for smaller programs: {program.name!r} has {program.n_columns} columns and "
        f"{program.n_rows} rows{f' ({note})' if note else ''}, the {one.free}",
        one.remedy,
    )


def is_size_complaint(vendor: str, message: str) -> bool:
    """Whether a solver's message says that its licence is too small or missing."""
    return vendor in VENDORS and any(mark in message.lower() for mark in VENDORS[vendor].marks)


@contextmanager
def silence() -> Iterator[None]:
    """Nothing reaches the terminal, whether written by Python or by a library in C."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        # sys.stdout need not be file 1: in a notebook, under a test runner.
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")  # vendors announce their trial licences; the probe says it instead
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in enumerate(saved, start=1):
            os.dup2(old, number)
            os.close(old)
        os.close(nowhere)
