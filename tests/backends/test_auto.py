"""What ``auto`` picks, and where it goes on when its first choice stops short."""

import pytest

from eqsolve.backends import Backend, Capabilities, Limits, Probe, Termination, get_backend, solve, solve_program
from eqsolve.backends.base import RebuildSession
from eqsolve.backends.outcome import make_outcome
from eqsolve.certificates import certify
from eqsolve.errors import BackendFailure, BackendUnsupported
from tests.cases import CASES

CASE = {case.name: case for case in CASES}["simplex QP"]


class Stub(Backend):
    """A backend that always ends in one way, or raises it."""

    def __init__(self, name, end):
        self._name, self.end = name, end

    name = property(lambda self: self._name)
    capabilities = Capabilities(frozenset({"QP"}), frozenset())

    def probe(self):
        return Probe(True)

    def _open(self, program, options, vertex):
        return StubSession(self, program, options, vertex)


class StubSession(RebuildSession):
    def solve(self, limits=None, start=None):
        if isinstance(self.backend.end, Exception):
            raise self.backend.end
        return make_outcome(self.program, self.backend.end, backend=self.backend.name, notes=("a first attempt",))


@pytest.fixture
def ends(monkeypatch):
    """Replace backends of the registry by ones that end as told."""

    def put(**by_name):
        named = {name.replace("_", ":"): Stub(name.replace("_", ":"), end) for name, end in by_name.items()}
        monkeypatch.setattr(solve, "get_backend", lambda name: named.get(name) or get_backend(name))

    return put


@pytest.mark.parametrize("end", [Termination.INACCURATE, Termination.FAILED])
def test_auto_goes_on_and_says_so(ends, end):
    ends(highs=end)
    outcome = solve_program(CASE.program)
    assert outcome.backend == "cvxpy:CLARABEL"
    assert outcome.objective == pytest.approx(CASE.optimum, abs=1e-6)
    assert certify(CASE.program, outcome).holds(1e-6)
    assert outcome.notes == (
        "auto picked highs for a program of kind QP",
        "a first attempt",
        "highs stopped short",
        "auto went on to cvxpy:CLARABEL",
    )


def test_auto_goes_on_from_a_crash(ends):
    ends(highs=BackendFailure("it crashed"))
    outcome = solve_program(CASE.program)
    assert outcome.backend == "cvxpy:CLARABEL"
    assert outcome.notes[1:] == ("highs was no help: it crashed", "auto went on to cvxpy:CLARABEL")


def test_when_all_crash_the_first_crash_is_raised(ends):
    ends(highs=BackendFailure("it crashed"), cvxpy_CLARABEL=BackendFailure("it crashed as well"))
    with pytest.raises(BackendFailure, match=r"it crashed$"):
        solve_program(CASE.program)


def test_what_the_first_choice_refuses_is_refused(ends):
    ends(highs=BackendUnsupported("it keeps no such limit"))
    with pytest.raises(BackendUnsupported, match="no such limit"):
        solve_program(CASE.program)


@pytest.mark.parametrize("end", [Termination.TIME_LIMIT, Termination.ITERATION_LIMIT, Termination.INTERRUPTED])
def test_a_budget_or_ctrl_c_ends_auto_as_well(ends, end):
    ends(highs=end)
    assert solve_program(CASE.program, limits=None).termination is end


def test_a_backend_asked_for_by_name_is_the_only_one(ends):
    ends(highs=Termination.INACCURATE)
    outcome = solve_program(CASE.program, "highs")
    assert (outcome.backend, outcome.termination) == ("highs", Termination.INACCURATE)


def test_options_are_those_of_one_solver(ends):
    ends(highs=Termination.INACCURATE)
    outcome = solve_program(CASE.program, options={"time_limit": 5.0})
    assert (outcome.backend, outcome.termination) == ("highs", Termination.INACCURATE)


@pytest.mark.parametrize(
    ("second", "note"),
    [
        (Termination.FAILED, "cvxpy:CLARABEL stopped short"),
        (BackendFailure("it crashed"), "was no help: it crashed"),
        (BackendUnsupported("it keeps no time limit"), "was no help: it keeps no time limit"),
    ],
)
def test_when_none_does_better_the_first_answer_stays(ends, second, note):
    ends(highs=Termination.INACCURATE, cvxpy_CLARABEL=second)
    outcome = solve_program(CASE.program, limits=Limits())
    assert (outcome.backend, outcome.termination) == ("highs", Termination.INACCURATE)
    assert any(note in one for one in outcome.notes)
    assert "highs stopped short" in outcome.notes


@pytest.mark.parametrize("end", [Termination.FAILED, Termination.INACCURATE])
@pytest.mark.parametrize("name", ["QP infeasible", "QP unbounded"])
def test_where_a_solver_stops_short_the_data_tell(ends, name, end):
    ends(highs=end)
    case = {case.name: case for case in CASES}[name]
    outcome = solve_program(case.program, "highs")
    assert outcome.termination in case.termination
    assert certify(case.program, outcome).holds(1e-6)
    assert "auxiliary program" in outcome.notes[-1]
