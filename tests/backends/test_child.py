"""A foreign solver that kills itself ends a worker, never the caller."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from eqsolve.backends import Limits, Termination, child, solve_program
from eqsolve.backends import pulp as pulp_backend
from eqsolve.backends.child import ChildTimeout, call_in_child, close_workers
from eqsolve.errors import BackendFailure, UnknownName
from tests.cases import CASES

LP = next(case.program for case in CASES if case.name == "production")


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A module of the test's own that new workers can import, in place of the code that calls PuLP."""

    def install(body):
        (tmp_path / "foreign_solver.py").write_text(f"import os, time\n\ndef solve(payload):\n    {body}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(pulp_backend, "SOLVE", "foreign_solver:solve")
        close_workers()

    yield install
    close_workers()


@pytest.mark.parametrize(("body", "ending"), [("os.abort()", "killed by SIGABRT"), ("os._exit(3)", "exit status 3")])
def test_a_solver_that_dies_is_a_failure_with_its_signal(foreign, tmp_path, monkeypatch, body, ending):
    own = tmp_path / "own"  # tests of other processes leave and take files in the common folder meanwhile
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    foreign(body)
    with pytest.raises(BackendFailure, match=f"pulp:PULP_CBC_CMD took its process down: {ending}"):
        solve_program(LP, "pulp:PULP_CBC_CMD")
    assert not list(own.iterdir())


def test_the_next_solve_gets_a_new_worker(foreign, monkeypatch):
    foreign("os.abort()")
    with pytest.raises(BackendFailure):
        solve_program(LP, "pulp")
    monkeypatch.undo()
    assert solve_program(LP, "pulp").objective == pytest.approx(36.0)


def test_an_exception_of_the_solver_is_a_typed_failure(foreign):
    foreign("raise ZeroDivisionError('inside')")
    with pytest.raises(BackendFailure, match="ZeroDivisionError: inside"):
        solve_program(LP, "pulp")


def test_a_solver_that_overstays_its_limit_is_stopped(foreign, monkeypatch):
    foreign("time.sleep(600)")
    monkeypatch.setattr(pulp_backend, "PATIENCE", 1.0)
    outcome = solve_program(LP, "pulp", limits=Limits(seconds=0.1))
    assert outcome.termination is Termination.TIME_LIMIT
    assert outcome.x is None
    assert "was stopped" in outcome.notes[-1]


def test_a_worker_answers_many_requests_and_errors_pass_through():
    close_workers()
    assert call_in_child("math:sqrt", 9.0) == 3.0
    first = call_in_child("builtins:eval", "__import__('os').getpid()")
    assert first != os.getpid()
    assert call_in_child("builtins:eval", "__import__('os').getpid()") == first
    with pytest.raises(UnknownName, match="no such thing"):
        call_in_child("builtins:exec", "from eqsolve.errors import UnknownName; raise UnknownName('no such thing')")
    assert call_in_child("builtins:eval", "__import__('os').getpid()") == first


def test_what_a_worker_prints_does_not_disturb_its_answers(capfd):
    assert call_in_child("builtins:exec", "print('x' * 100000); import os; os.system('echo y')") is None
    assert call_in_child("math:sqrt", 4.0) == 2.0
    assert capfd.readouterr() == ("", "")


def test_a_timeout_stops_the_worker_and_what_it_started():
    with pytest.raises(ChildTimeout):
        call_in_child("builtins:exec", "import subprocess; subprocess.run(['sleep', '7531'])", seconds=1.0)
    time.sleep(0.2)
    running = [one for one in Path("/proc").glob("[0-9]*/cmdline") if _reads(one, b"sleep\x007531")]
    assert not running


def _reads(path, text):
    try:
        return path.read_bytes().startswith(text)
    except OSError:
        return False


def test_an_unsendable_request_leaves_no_worker_out_of_step():
    with pytest.raises((TypeError, AttributeError, child.pickle.PicklingError)):
        call_in_child("math:sqrt", lambda: 1)
    assert call_in_child("math:sqrt", 16.0) == 4.0
