"""Options that a structure advises: asked for when the user gives none, named in the notes, never in a user's way."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from eqsolve.backends import Start, solve_program
from eqsolve.errors import UnknownName
from eqsolve.programs import Advised, ProgramBuilder, Structure, StructureAnswer

NOTE = "solver=ipm, run_crossover=off: advised by the structure toy"


@dataclass(frozen=True)
class Toy:
    """Knows no method of its own, but one of HiGHS."""

    name: str = "toy"

    def refuses(self, program):
        return "it is a toy"

    def solve(self, program):
        return StructureAnswer("iteration_limit")

    def advice(self, backend, *, vertex):
        if backend != "highs":
            return {}
        return {"solver": "ipm", "run_crossover": "on" if vertex else "off"}


@pytest.fixture
def program():
    build = ProgramBuilder("knapsack", sense="max")
    x = build.columns("x", 3, upper=1.0)
    row = build.rows("weight", 1, upper=1.5)
    build.add(row, x, np.ones((1, 3)))
    build.objective(x, [3.0, 2.0, 1.0])
    return build.build(structure=Toy())


def test_the_toy_is_advised(program):
    assert isinstance(program.structure, Advised)
    assert isinstance(program.structure, Structure)


@pytest.mark.parametrize("backend", ["highs", "auto"])
def test_advice_is_taken_and_noted(program, backend):
    outcome = solve_program(program, backend)
    assert outcome.objective == pytest.approx(4.0, abs=1e-6)
    assert outcome.options == {"solver": "ipm", "run_crossover": "off"}
    assert NOTE in outcome.notes
    assert not outcome.is_vertex


@pytest.mark.parametrize("options", [{}, {"presolve": "off"}, {"solver": "simplex"}])
def test_a_users_options_win(program, options):
    outcome = solve_program(program, "highs", options=options)
    assert outcome.options == options
    assert not any("advised" in note for note in outcome.notes)
    assert outcome.is_vertex


def test_a_start_is_not_given_to_a_method_that_has_no_use_for_it(program):
    basis = solve_program(program, "highs", options={}).basis
    again = solve_program(program, "highs", start=Start(basis=basis))
    assert again.warm_start
    assert again.iterations == 0
    assert not any("advised" in note for note in again.notes)


def test_a_vertex_stays_a_vertex(program):
    outcome = solve_program(program, "highs", vertex=True)
    assert outcome.is_vertex
    assert outcome.x == pytest.approx([1.0, 0.5, 0.0], abs=1e-9)
    assert outcome.options["run_crossover"] == "on"


def test_other_backends_and_other_structures_are_left_alone(program):
    assert solve_program(program, "scipy").options == {}
    plain = solve_program(replace(program, structure=None), "highs")
    assert (plain.options, plain.notes) == ({}, ())


def test_wrong_advice_is_refused_as_any_option_is(program, monkeypatch):
    monkeypatch.setattr(Toy, "advice", lambda self, backend, *, vertex: {"solvr": "ipm"})
    with pytest.raises(UnknownName, match="solvr"):
        solve_program(program, "highs")
