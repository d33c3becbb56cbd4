"""Beckmann's program: certificate first, then the value by another method, on every backend; towers of cones; refusals."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    BPRCosts,
    CongestionGame,
    MarginalCosts,
    PiecewiseLinearCosts,
    SumOfPowers,
)
from eqsolve.aggregative.congestion_games.beckmann import beckmann_flows, beckmann_program, objective_of
from eqsolve.aggregative.congestion_games.certificate import certify as wardrop
from eqsolve.aggregative.congestion_games.certificate import wardrop_gaps
from eqsolve.aggregative.congestion_games.cost_terms import NoConvexProgram, cost_terms
from eqsolve.aggregative.congestion_games.generators import NEW_ROAD, braess, grid_city, pigou
from eqsolve.aggregative.congestion_games.tntp import read_game
from eqsolve.aggregative.congestion_games.towers import ONE, T, Tower, X
from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.errors import BackendUnavailable, InvalidData
from eqsolve.programs import Program
from tests.aggregative.congestion_games.convex_games import GAMES, KINDS, by_function, crossing, falling, game_of, least, mixed
from tests.backends.usable import usable_backends

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "transport"
BEST_KNOWN = 42.31335287107440e5
ROUGH_DUALS = ("gurobi",)
"""Its multipliers are far off at the tips of cones, where a road is empty: the point is judged by the other method."""
BOTH = [
    pytest.param(name, backend, id=f"{name}-{backend}") for name in GAMES for backend in usable_backends(KINDS.get(name, "SOCP"))
]


@pytest.mark.parametrize(("name", "backend"), BOTH)
def test_every_backend_finds_the_equilibrium(name, backend):
    game = game_of(name)
    program = beckmann_program(game)
    assert program.kind == KINDS.get(name, "SOCP")
    try:
        outcome = solve_program(program, backend=backend)
    except BackendUnavailable as refusal:
        pytest.skip(refusal.what)
    certificate = certify(program, outcome)
    if outcome.y is None or backend in ROUGH_DUALS:
        assert outcome.is_optimal, outcome.notes
        assert certificate.primal.relative <= 1e-6
    else:
        assert certificate.holds(2e-5), str(certificate)
    flows = beckmann_flows(game, program, outcome.x)
    value = float(game.costs.integral(game.aggregator(flows)).sum())
    assert objective_of(game, program, outcome.x) == pytest.approx(least(name), rel=2e-6)
    assert value == pytest.approx(least(name), rel=2e-6)
    assert wardrop_gaps(game, flows).relative_gap <= 2e-3
    if backend == "cvxpy:CLARABEL":
        assert wardrop(game, flows).upper <= 1e-4 * game.costs.cost(game.aggregator(flows)).max()


@pytest.mark.parametrize("name", GAMES)
def test_the_system_optimum_is_beckmanns_program_of_the_marginal_costs(name):
    game = game_of(name)
    program = beckmann_program(game, system=True)
    outcome = solve_program(program)
    assert certify(program, outcome).holds(2e-6)
    x = game.aggregator(beckmann_flows(game, program, outcome.x))
    assert game.social_cost(x) == pytest.approx(least(name, system=True), rel=1e-6)
    assert objective_of(game, program, outcome.x) == pytest.approx(game.social_cost(x), rel=1e-6)


def test_braess_by_the_book():
    """Braess (1968): 92 minutes each with the new road, 83 without, and 83 at the system optimum with it."""
    found = {}
    for name, game in (("with", braess()), ("without", braess().without([NEW_ROAD]))):
        program = beckmann_program(game)
        outcome = solve_program(program)
        assert certify(program, outcome).holds(1e-8)
        flows = beckmann_flows(game, program, outcome.x)
        assert wardrop(game, flows).upper <= 1e-6
        found[name] = flows.path_costs(game.costs.cost(game.aggregator(flows)))
    np.testing.assert_allclose(found["with"], 92.0, rtol=1e-7)
    np.testing.assert_allclose(found["without"], 83.0, rtol=1e-7)
    program = beckmann_program(braess(), system=True)
    assert objective_of(braess(), program, solve_program(program).x) == pytest.approx(6 * 83.0, rel=1e-8)


def test_given_paths_are_the_only_ones():
    game = game_of("routed")
    whole = beckmann_program(game)
    flows = beckmann_flows(game, whole, solve_program(whole).x)
    same = beckmann_program(game, paths=flows)
    answer = solve_program(same)
    assert certify(same, answer).holds(2e-6)
    assert [block.name for block in same.columns][:2] == ["f", "x"]
    assert objective_of(game, same, answer.x) == pytest.approx(least("routed"), rel=1e-6)
    again = beckmann_flows(game, same, answer.x, paths=flows)
    np.testing.assert_allclose(game.aggregator(again), game.aggregator(flows), atol=1e-2)
    only = game.actions.cheapest(game.costs.cost(np.zeros(game.n_coordinates)))
    one = type(flows)(np.arange(game.n_types), only.indptr, only.resources, game.count)
    few = beckmann_program(game, paths=one)
    assert objective_of(game, few, solve_program(few).x) == pytest.approx(
        float(game.costs.integral(game.aggregator(one)).sum()), rel=1e-6
    )
    missing = type(flows)(np.zeros(1, dtype=int), only.indptr[:2], only.resources[: only.indptr[1]], game.count[:1])
    with pytest.raises(InvalidData, match="type 1 has none of the paths given"):
        beckmann_program(game, paths=missing)


def test_zones_are_not_passed_through_and_parallel_roads_are_kept():
    game = crossing()
    program = beckmann_program(game)
    outcome = solve_program(program)
    v = outcome.x[program.column_block("v").slice].reshape(2, 7)
    through = game.network.tail == 1
    assert (v[0, through] == 0).all()
    assert v[1, through].sum() > 0
    assert (v[0, :2] > 1e-3).all()
    x = game.aggregator(beckmann_flows(game, program, outcome.x))
    assert x[0] + x[1] + x[3] == pytest.approx(10.5, rel=1e-9)


def test_the_program_reads_like_the_paper_and_survives_a_file(tmp_path):
    program = beckmann_program(crossing())
    text = str(program)
    assert "Beckmann program" in text
    assert "rotated second-order" in text
    for header in (
        "v[origin, road]",
        "x[road]",
        "t5[road]",
        "conservation[origin, node]",
        "load[road]",
        "power5[road, step, side]",
    ):
        assert header in text
    assert program.row("load", 2) == "load[2]: v[0, 2] + v[1, 2] - x[2] = 0"
    named = beckmann_program(braess())
    assert named.row("load", "1-2") == "load[1-2]: v[0, 1-2] - x[1-2] = 0"
    assert "flows in units of 10" in named.note
    again = Program.read(program.write(tmp_path / "b.json"))
    assert text.startswith(str(again))
    assert [cone.kind for cone in again.cones] == ["rsoc"] * (3 * 7)
    read = Program.read(named.write(tmp_path / "braess.lp"))
    assert solve_program(read).objective == pytest.approx(solve_program(named).objective, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.fractions(min_value=Fraction(65, 64), max_value=12, max_denominator=64))
def test_a_tower_holds_with_equality_exactly_at_the_power(q):
    """In logarithms of (t, w) to the base x each step is the equation 2 w = u + v: their solution is t = q."""
    if q <= 1:
        return
    tower = Tower.of(float(q))
    assert tower.exponent == q
    n = tower.helpers
    A, b = np.zeros((n + 1, n + 1)), np.zeros(n + 1)
    for k, ends in enumerate(tower.steps):
        for end, share in zip(ends, (1.0, 1.0, -2.0), strict=True):
            if end == X:
                b[k] -= share
            elif end != ONE:
                A[k, n if end == T else end] += share
    assert np.linalg.solve(A, b)[n] == pytest.approx(float(q), rel=1e-9)
    assert tower.steps[-1][2] == X


def test_exponents_without_a_tower_are_refused():
    for exponent in (1.0, 0.5, np.pi, 1.0 + 1e-6):
        with pytest.raises(InvalidData, match="has no tower of cones"):
            Tower.of(exponent)
    game = pigou().with_costs(SumOfPowers([[1.0], [0.5]], [[0.0], [np.sqrt(2)]]))
    with pytest.raises(InvalidData, match="piecewise_program takes powers of any kind"):
        beckmann_program(game)


def test_terms_put_together_are_the_costs():
    costs = mixed().costs
    for one in (costs, MarginalCosts(costs)):
        terms = cost_terms(one)
        for x in np.random.default_rng(0).uniform(0.1, 9.0, (5, 6)):
            total = terms.constant.copy()
            np.add.at(total, terms.resource, terms.coefficient * x[terms.resource] ** terms.exponent)
            inside = (x[terms.piece_of] >= terms.start) & (x[terms.piece_of] < terms.start + terms.width)
            at = terms.piece_of[inside]
            total[at] += terms.cost[inside] + terms.slope[inside] * (x[at] - terms.start[inside])
            np.testing.assert_allclose(total, one.cost(x), rtol=1e-12)


def test_costs_without_a_convex_program_are_refused_and_the_way_out_is_named():
    with pytest.raises(NoConvexProgram, match=r"FixedPointNash on game.as_aggregative\(\)"):
        beckmann_program(falling())
    with pytest.raises(NoConvexProgram, match="the cost of 0-1 is given by a function") as caught:
        beckmann_program(by_function())
    assert "piecewise_program" in caught.value.remedy
    concave = PiecewiseLinearCosts([np.array([0.0, 0.5, 1.0])] * 2, [np.array([0.0, 1.0, 1.1])] * 2)
    game = pigou().with_costs(concave)
    assert beckmann_program(game).kind == "QP"
    with pytest.raises(NoConvexProgram, match="may fall"):
        beckmann_program(game, system=True)


def test_free_roads_and_constant_costs():
    """Costs of 0, and a game that is all constants: the program is linear."""
    game = braess().with_costs(AffineCosts([0.0, 1.0, 0.0, 1.0, 0.0], np.zeros(5)))
    program = beckmann_program(game)
    assert program.kind == "LP"
    flows = beckmann_flows(game, program, solve_program(program).x)
    assert wardrop(game, flows).upper == 0.0
    assert game.social_cost(game.aggregator(flows)) == 0.0


def scaled_braess(vehicles, price):
    costs = BPRCosts(
        price * np.array([1.0, 20.0, 1.0, 25.0, 2.0]), [1.0, 0.02, 0.1, 0.02, 1.5], np.full(5, vehicles / 2), [4, 4, 4, 4, 3]
    )
    return CongestionGame.from_trips(braess().network, costs, [(0, 3, vehicles)])


@pytest.mark.parametrize(("vehicles", "price"), [(6e-4, 1e-6), (6e-4, 1e7), (6e6, 1e-6), (6e6, 1e7)])
def test_the_units_take_any_scale(vehicles, price):
    """The same roads in other units of traffic and of money: the same equilibrium, and objectives in proportion."""
    for system in (False, True):
        found = []
        for game in (scaled_braess(6.0, 1.0), scaled_braess(vehicles, price)):
            program = beckmann_program(game, system=system)
            outcome = solve_program(program, "cvxpy:CLARABEL")
            assert certify(program, outcome).holds(2e-6)
            x = game.aggregator(beckmann_flows(game, program, outcome.x))
            found.append((x / game.demand[0], objective_of(game, program, outcome.x)))
        (x, value), (y, other) = found
        assert system or x[2] > 0.01
        np.testing.assert_allclose(y, x, atol=1e-4)
        assert other == pytest.approx(value * price * vehicles / 6, rel=1e-6)


def test_flows_add_up_to_the_last_bit():
    game = grid_city(3, 3, seed=1)
    program = beckmann_program(game)
    outcome = solve_program(program, "cvxpy:CLARABEL")
    assert certify(program, outcome).holds(2e-6)
    flows = beckmann_flows(game, program, outcome.x)
    flows.check(game)
    np.testing.assert_allclose(np.bincount(flows.type_of, weights=flows.flow), game.count, rtol=1e-14)


@pytest.mark.skipif(not REAL.exists(), reason="the data of Sioux Falls is not here")
def test_sioux_falls():
    game = read_game(REAL / "SiouxFalls_net.tntp", REAL / "SiouxFalls_trips.tntp")
    program = beckmann_program(game)
    outcome = solve_program(program, "cvxpy:CLARABEL")
    assert certify(program, outcome).holds(1e-7)
    flows = beckmann_flows(game, program, outcome.x)
    assert wardrop_gaps(game, flows).relative_gap <= 1e-6
    assert float(game.costs.integral(game.aggregator(flows)).sum()) == pytest.approx(BEST_KNOWN, rel=1e-8)
