"""Backends say nothing on their own: stdout belongs to the caller."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.backends.usable import usable_backends

FIRST_CALLS = {
    "a session": "solve_program(simplex, backend='highs')",
    "an option that is refused": "refused(lambda: solve_program(simplex, backend='highs', options={'threads': -1}))",
    "an option that is unknown": "refused(lambda: solve_program(simplex, backend='highs', options={'thread': 1}))",
    "cvxpy": "solve_program(simplex, backend='cvxpy:HIGHS')",
    "an option of pulp": "refused(lambda: solve_program(simplex, backend='pulp:HiGHS', options={'presolve': 'maybe'}))",
}
"""The ways to a first model of HiGHS, which announces itself once in a process (from 1.16 on before its options are set)."""

PREPARE = """
import numpy as np
from scipy import sparse
from eqsolve.backends import solve_program
from eqsolve.errors import EqsolveError
from eqsolve.programs import Program

def refused(call):
    try:
        call()
    except EqsolveError:
        return
    raise SystemExit("it was not refused")

ones = np.ones(2)
simplex = Program("simplex", "max", np.array([1.0, 2.0]), sparse.csc_array([[1.0, 1.0]]), ones[:1], ones[:1], 0 * ones, ones)
"""


def printed(*arguments: str) -> str:
    """What a fresh interpreter writes on stdout, from below Python too."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("call", FIRST_CALLS.values(), ids=FIRST_CALLS)
def test_highs_does_not_announce_itself(call):
    assert printed("-c", f"{PREPARE}\n{call}") == ""


@pytest.mark.parametrize("backend", ["highs", "scipy", "cvxpy:HIGHS", "pulp:HiGHS"])
def test_json_is_all_of_stdout(backend):
    result = json.loads(printed("-m", "eqsolve", "solve", "chicken", "--json", "--backend", backend))
    assert (result["status"], result["backend"].split()[0]) == ("converged", backend)


def test_no_backend_prints_a_word():
    calls = "\n".join(f"assert solve_program(simplex, backend={name!r}).is_optimal, {name!r}" for name in usable_backends("LP"))
    assert printed("-c", f"{PREPARE}\n{calls}") == ""


def test_highs_speaks_when_it_is_asked_to():
    shown = printed("-c", f"{PREPARE}\nsolve_program(simplex, backend='highs', options={{'output_flag': True}})")
    assert "HiGHS" in shown
    assert "Optimal" in shown
