"""Occupancy and value programs: their rows, their scale, and their answers on every kind of backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.errors import UnknownName
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.programs import LinearConstraint, VisitationFamily, occupancy_program, value_program, visitation_program
from eqsolve.mdp.recovery import occupancy_of, policy_from, value_of
from tests.backends.usable import usable_backends
from tests.mdp.occupancy_oracle import best_values, choices, played, random_small, state_visits, value
from tests.mdp.textbook import CASES

BACKENDS = ("native", "highs", "scipy", "cvxpy:CLARABEL", *(set(usable_backends("LP")) & {"gurobi"}))
PRINTED = [case for case in CASES if case.name.endswith(("dense", "ragged", "stepwise"))]


def process(**more):
    """Puterman's two states."""
    return FiniteMDP([2, 1], [[0.5, 0.5], [0, 1], [0, 1]], [5.0, 10.0, -1.0], 0.9, states=["s1", "s2"], **more)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", [occupancy_program, value_program])
def test_textbook_cases(make, backend):
    cases = CASES if backend in ("native", "highs", "gurobi") else PRINTED
    exact = 1e-9 if backend in ("native", "highs", "gurobi") else 1e-6
    for case in cases:
        mdp = case.mdp
        program = make(mdp)
        outcome = solve_program(program, backend)
        certificate = certify(program, outcome)
        assert certificate.holds(exact), (case.name, certificate.reason(exact))
        assert certificate.rigorous_gap <= exact * 100 * (1 + abs(outcome.objective)), case.name
        assert value_of(program, outcome) == pytest.approx(case.value, rel=exact * 100, abs=exact * 100), case.name
        policy = policy_from(mdp, program, outcome)
        assert mdp.initial @ value(mdp, policy) == pytest.approx(case.value, rel=exact * 100, abs=exact * 100), case.name


@pytest.mark.parametrize("make", [occupancy_program, value_program])
def test_cbc_through_pulp(make):
    for case in CASES[::9]:
        program = make(case.mdp)
        outcome = solve_program(program, "pulp:PULP_CBC_CMD")
        assert certify(program, outcome).holds(1e-5), case.name
        assert value_of(program, outcome) == pytest.approx(case.value, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("horizon", [None, 1, 3])
def test_random_processes_by_brute_force(horizon):
    for seed in range(200 if horizon is None else 60):
        mdp = random_small(seed, horizon=horizon, gamma=0.0 if seed == 7 else None)
        best = best_values(mdp)
        for make in (occupancy_program, value_program):
            program = make(mdp)
            for backend in ("native", "highs") if seed % 4 == 0 else ("native",):
                outcome = solve_program(program, backend)
                assert certify(program, outcome).holds(1e-9), (seed, backend)
                assert value_of(program, outcome) == pytest.approx(mdp.initial @ best, abs=1e-9, rel=1e-9), (seed, backend)
            values = solve_program(program, "native")
            values = values.y if make is occupancy_program else values.x
            assert values[: mdp.n_states] == pytest.approx(best, abs=1e-9, rel=1e-9), seed
            if seed % 4 == 0:
                assert mdp.initial @ value(mdp, policy_from(mdp, program, outcome)) == pytest.approx(mdp.initial @ best, abs=1e-8)


def test_a_program_reads_well():
    program = occupancy_program(process())
    assert program.row("flow", "s1") == "flow[s1]: 0.55 d[s1, 0] + d[s1, 1] = 1"
    assert program.row("flow", 1) == "flow[s2]: -0.45 d[s1, 0] - 0.9 d[s1, 1] + 0.1 d[s2, 0] = 1"
    assert "scale 2" in str(program)
    assert "flow[state]" in str(program)
    assert value_program(process()).row("bellman", "s1", 0) == "bellman[s1, 0]: 0.55 v[s1] - 0.45 v[s2] >= 5"
    steps = occupancy_program(process(horizon=2))
    assert steps.row("flow", 1, "s2") == "flow[1, s2]: -0.45 d[0, s1/0] - 0.9 d[0, s1/1] - 0.9 d[0, s2/0] + d[1, s2/0] = 0"
    even = FiniteMDP([2, 2], np.full((4, 2), 0.5), np.arange(4.0), horizon=2, actions=["go", "stay"])
    assert even.actions
    assert occupancy_program(even).column("d", 1, 0, "stay").startswith("0 <= d[1, 0, stay] <= 4")


@pytest.mark.parametrize("horizon", [None, 3])
def test_scale_changes_units_only(horizon):
    mdp = random_small(11, horizon=horizon, gamma=0.9, states=(4, 4))
    plain, scaled = occupancy_program(mdp, scaled=False), occupancy_program(mdp)
    assert scaled.row_upper.max() == 1.0
    one, many = solve_program(plain, "highs"), solve_program(scaled, "highs")
    assert plain.objective(one.x) == pytest.approx(value_of(scaled, many), abs=1e-9)
    assert one.y == pytest.approx(many.y, abs=1e-9)
    assert occupancy_of(mdp, plain, one) == pytest.approx(occupancy_of(mdp, scaled, many), abs=1e-9)
    assert occupancy_of(mdp, scaled, many, normalised=True).sum() == pytest.approx(1.0)
    total = 10.0 if horizon is None else 1 + 0.9 + 0.81
    assert occupancy_of(mdp, scaled, many).sum() == pytest.approx(total)


def test_ten_thousand_uniform_states_have_right_hand_sides_of_one():
    S = 10_000
    kernel = sparse.csr_array((np.ones(S), (np.arange(S), (np.arange(S) + 1) % S)), shape=(S, S))
    mdp = FiniteMDP(np.ones(S, dtype=int), kernel, np.ones(S), 0.9)
    program = occupancy_program(mdp)
    assert (program.row_lower == 1.0).all()
    outcome = solve_program(program, "native")
    assert certify(program, outcome).holds(1e-9)
    assert value_of(program, outcome) == pytest.approx(10.0)


@pytest.mark.parametrize("sense", ["max", "min"])
@pytest.mark.parametrize("horizon", [None, 2])
def test_extreme_visits_by_brute_force(sense, horizon):
    for seed in range(30):
        mdp = random_small(seed, horizon=horizon, states=(1, 3), actions=(1, 2))
        visits = np.array([state_visits(mdp, played(mdp, pairs)) for pairs in choices(mdp)])
        best = visits.max(axis=0) if sense == "max" else visits.min(axis=0)
        for s in range(mdp.n_states):
            program = visitation_program(mdp, s, sense)
            for backend in ("native", "highs") if seed < 5 else ("native",):
                outcome = solve_program(program, backend)
                assert certify(program, outcome).holds(1e-9)
                assert value_of(program, outcome) == pytest.approx(best[s], abs=1e-9)


def test_visits_of_one_step():
    mdp = process(horizon=3, initial=0)
    found = [value_of(p, solve_program(p, "native")) for p in (visitation_program(mdp, "s1", "max", step=h) for h in range(3))]
    assert found == pytest.approx([1.0, 0.45, 0.2025])
    assert "step 2" in VisitationFamily(mdp, step=2)[0].note


def test_bad_input_is_refused():
    with pytest.raises(InvalidMDP, match="sense is 'largest'"):
        VisitationFamily(process(), "largest")
    with pytest.raises(InvalidMDP, match="no horizon"):
        visitation_program(process(), 0, step=1)
    with pytest.raises(InvalidMDP, match="step is 5"):
        visitation_program(process(horizon=2), 0, step=5)
    with pytest.raises(UnknownName, match="s9"):
        visitation_program(process(), "s9")
    with pytest.raises(InvalidMDP, match="cost of constraint 'a' has shape 2, expected 3"):
        occupancy_program(process(), constraints=[LinearConstraint([1.0, 2.0], upper=1, name="a")])
    with pytest.raises(InvalidMDP, match="expected 3 or 2 x 3"):
        occupancy_program(process(horizon=2), constraints=[LinearConstraint(np.ones((3, 3)), upper=1, name="a")])
    with pytest.raises(InvalidMDP, match="two constraints are called 'a'"):
        occupancy_program(process(), constraints=[LinearConstraint(np.ones(3), upper=1, name="a")] * 2)
    with pytest.raises(InvalidMDP, match=r"cost of constraint 'a'\[1\] is nan"):
        LinearConstraint([1.0, np.nan], upper=1.0, name="a")
    with pytest.raises(InvalidMDP, match="crossed: lower 2, upper 1"):
        LinearConstraint([1.0], 2.0, 1.0)
    with pytest.raises(InvalidMDP, match="no bound"):
        LinearConstraint([1.0])
    with pytest.raises(InvalidMDP, match="lower bound of constraint 'cost'"):
        LinearConstraint([1.0], lower=np.nan)
    with pytest.raises(InvalidMDP, match="a constraint is called ''"):
        LinearConstraint([1.0], upper=1.0, name="")


def test_a_written_program_is_read_back(tmp_path):
    program = occupancy_program(process())
    program.write(tmp_path / "p.lp")
    other = type(program).read(tmp_path / "p.lp")
    again = replace(other, structure=program.structure)
    assert solve_program(again, "native").objective == pytest.approx(solve_program(program, "highs").objective)
