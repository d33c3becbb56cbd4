"""Wardrop equilibria by path-based column generation: the gap by other means, both forms of the work, runs that are cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import eqsolve
from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    BPRCosts,
    CallableCosts,
    CongestionGame,
    ListedActions,
    MarginalCosts,
    PathEquilibrium,
    PiecewiseLinearCosts,
    grid_city,
    parallel_links,
    random_listed,
    random_routed,
)
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.aggregative.congestion_games.path_sweeps import Compiled, Interpreted, path_work
from eqsolve.backends import Limits
from eqsolve.driver import Checkpoints, OutOfTime, Status
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData, InvalidGame
from tests.aggregative.congestion_games.roads import (
    OBJECTIVE,
    best_known_flow,
    bpr_square,
    cheapest_by_networkx,
    needs_data,
    relative_gap,
    sioux_falls,
    through_town,
    two_roads,
)

TIGHT = PathEquilibrium(1e-11)


@pytest.fixture
def compiled(monkeypatch):
    """Kernels for the smallest games as well."""
    monkeypatch.setattr("eqsolve.aggregative.congestion_games.path_sweeps.SMALL", 0)


def solved(game, algorithm=TIGHT, **options):
    result = eqsolve.solve(game, algorithm, **options)
    assert result.status is Status.CONVERGED
    assert relative_gap(game, result.policy) <= 1.01 * algorithm.tolerance + 1e-14
    return result


def test_two_roads_share_the_traffic():
    result = solved(two_roads())
    assert two_roads().aggregator(result.policy) == pytest.approx([28 / 3, 8 / 3])
    assert result.value == pytest.approx(12 * 10 / 3)


@given(seed=st.integers(0, 10**6), listed=st.booleans(), weighted=st.booleans())
@settings(max_examples=12, deadline=None)
def test_random_games_are_solved_to_the_gap_that_is_claimed(seed, listed, weighted):
    game = random_listed(seed=seed, weighted=weighted) if listed else random_routed(seed=seed, weighted=weighted)
    result = solved(game)
    assert result.state.relative_gap == pytest.approx(relative_gap(game, result.policy), abs=1e-13)


@given(seed=st.integers(0, 10**6), listed=st.booleans())
@example(seed=1_000_000, listed=True)  # one type alone has several paths: it must not wait for others
@settings(max_examples=12, deadline=None)
def test_kernels_and_numpy_find_the_same_equilibrium(seed, listed):
    game = random_listed(seed=seed, weighted=True) if listed else random_routed(seed=seed, weighted=True)
    costs = []
    for make in (Interpreted, Compiled):
        work = make(game)
        paths = PathSet.all_or_nothing(game, game.costs.cost(np.zeros(game.n_coordinates)))
        for _ in range(12):
            paths = work.levelled(work.widened(paths)[0], 1e-14, 200)[0].balanced(game)
        assert relative_gap(game, paths.flows()) <= 1e-10
        costs.append(game.costs.cost(paths.load(game)))
        assert work.least(costs[-1]) == pytest.approx(game.actions.cheapest(costs[-1]).least, rel=1e-12)
    assert costs[0] == pytest.approx(costs[1], rel=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_a_sweep_is_the_same_in_kernels_and_in_numpy(seed, monkeypatch):
    """Move by move, from the same flows on the same paths; none raises the objective."""
    monkeypatch.setattr("eqsolve.aggregative.congestion_games.path_sweeps.PARTIAL", 0)
    game = random_listed(types=4, resources=6, actions=5, power=1 + seed % 4, seed=seed, weighted=True)
    listed = game.actions
    rng = np.random.default_rng(seed)
    flow = np.concatenate([n * rng.dirichlet(np.ones(m)) for n, m in zip(game.count, listed.n_actions, strict=True)])
    one = two = PathSet(listed.owner, listed.indptr, listed.resources, flow)
    objective = float(game.costs.integral(one.load(game)).sum())
    for _ in range(3):
        one, two = Interpreted(game).levelled(one, 0.0, 1)[0], Compiled(game).levelled(two, 0.0, 1)[0]
        assert not (one.flow == flow).all()
        assert two.flow == pytest.approx(one.flow, abs=1e-8)
        assert (two.flow >= 0).all()
        assert np.bincount(two.type_of, weights=two.flow) == pytest.approx(game.count)
        before, objective = objective, float(game.costs.integral(two.load(game)).sum())
        assert objective <= before * (1 + 1e-14)


def test_zones_and_parallel_roads(compiled):
    game = through_town()
    result = solved(game)
    x = game.aggregator(result.policy)
    assert x[3] == pytest.approx(x[4])
    assert result.policy.n_paths >= 4


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_steep_costs_and_roads_that_begin_empty(scale, compiled):
    """Powers have no slope without flow: whole types are tried at once, and taken back."""
    game = bpr_square(40 * scale)
    steep = game.with_costs(BPRCosts(np.ones(8), 10.0, np.linspace(5.0, 12.0, 8), 8.0))
    for one in (game, steep):
        solved(one)


KINKS = PiecewiseLinearCosts(([0.0, 4.0, 8.0], [0.0, 6.0], [0.0]), ([1.0, 1.0, 5.0], [2.0, 3.5], [2.0]))
WAVES = CallableCosts(
    lambda x: 1 + np.array([1.0, 2.0, 1.5]) * x / 6 + np.sin(x) / 8, lambda x: np.array([1.0, 2.0, 1.5]) / 6 + np.cos(x) / 8, 3
)


@pytest.mark.parametrize("costs", [KINKS, WAVES], ids=["kinks", "function"])
def test_costs_that_are_no_powers(costs):
    game = CongestionGame(costs, ListedActions.of([[[0], [1], [2]], [[0, 1], [2]], [[1], [0, 2]]], 3), [6, 3, 2], [1, 2, 1])
    solved(game, PathEquilibrium(1e-10))
    assert isinstance(path_work(game), Interpreted)


def test_marginal_costs_lead_to_the_system_optimum(compiled):
    """No flows of two roads cost less together."""
    game = two_roads()
    x = game.aggregator(solved(game.with_costs(MarginalCosts(game.costs))).policy)
    first = np.linspace(0.0, 12.0, 2401)
    totals = [game.social_cost(np.array([one, 12.0 - one])) for one in first]
    assert game.social_cost(x) <= min(totals) + 1e-9
    assert x[0] == pytest.approx(first[int(np.argmin(totals))], abs=0.01)


def test_nothing_costs_anything():
    game = two_roads().with_costs(AffineCosts([0.0, 0.0], [0.0, 0.0]))
    result = eqsolve.solve(game, TIGHT)
    assert (result.iterations, result.value, result.status) == (0, 0.0, Status.CONVERGED)


def test_divisible_vehicles(compiled):
    game = bpr_square()
    solved(replace(game, count=game.count * 0.37))


def test_the_bound_holds_and_is_the_distance_to_the_least_objective():
    game = bpr_square()
    best = solved(game).state.objective
    early = eqsolve.solve(game, PathEquilibrium(1e-2))
    (bound,) = early.bounds
    assert early.state.lower <= best * (1 + 1e-12)
    assert early.state.objective - best <= bound.value
    assert bound.terms["objective"] == early.state.objective


def test_what_is_recorded():
    result = solved(grid_city(5, 5, seed=2))
    records = result.history
    assert records.columns == ("relative_gap", "objective", "lower_bound", "paths", "new_paths", "sweeps")
    assert (np.diff(records["objective"]) <= 1e-9 * records["objective"][1:]).all()
    assert (np.diff(records["lower_bound"]) >= 0).all()
    assert records["relative_gap"][-1] == result.state.relative_gap
    assert records["paths"][-1] == result.policy.n_paths


def city():
    return grid_city(5, 6, zones=9, load=1.5, seed=1)


@pytest.mark.parametrize("game", [city(), random_listed(types=5, actions=6, resources=6, seed=3), parallel_links(6, 50, types=3)])
def test_a_resumed_run_is_the_uninterrupted_one(game, tmp_path):
    whole = eqsolve.solve(game, PathEquilibrium(1e-12, sweeps=2))
    n = whole.iterations
    assert n >= 2
    kept = Checkpoints(tmp_path, seconds=0.0)
    for cut in sorted({0, 1, n // 2, n - 1}):
        part = eqsolve.solve(game, PathEquilibrium(1e-12, sweeps=2), checkpoint=kept, limits=Limits(iterations=cut))
        assert part.status is Status.OUT_OF_ITERATIONS
        part.policy.check(game)
        kept = Checkpoints(tmp_path, seconds=0.0, resume=True)
    resumed = eqsolve.solve(game, PathEquilibrium(1e-12, sweeps=2), checkpoint=kept)
    assert to_bytes(resumed.state) == to_bytes(whole.state)
    assert to_bytes(resumed.policy) == to_bytes(whole.policy)
    assert resumed.history.equals(whole.history)


def test_ctrl_c_keeps_what_was_reached():
    def stop(iteration, record):
        if iteration == 1:
            raise KeyboardInterrupt

    result = eqsolve.solve(city(), TIGHT, progress=stop)
    assert result.status is Status.INTERRUPTED
    assert result.iterations >= 1
    assert relative_gap(city(), result.policy) == pytest.approx(result.state.relative_gap, rel=1e-6)


def test_a_run_that_is_out_of_time_hands_back_the_last_complete_step(monkeypatch):
    whole = eqsolve.solve(city(), TIGHT)
    seen = []

    def late(run):
        seen.append(run.iteration)
        if run.iteration == 2:
            raise OutOfTime
        return Limits()

    monkeypatch.setattr("eqsolve.driver.algorithm.Run.remaining", late)
    result = eqsolve.solve(city(), TIGHT)
    assert (result.status, result.iterations) == (Status.OUT_OF_TIME, 2)
    assert result.history["relative_gap"].tolist() == whole.history["relative_gap"][:2].tolist()
    assert len(seen) == 1 + whole.history["sweeps"][:2].sum()


def test_a_tolerance_that_rounding_forbids_ends_the_search():
    result = eqsolve.solve(bpr_square(), PathEquilibrium(1e-300))
    assert result.status in (Status.STALLED, Status.CONVERGED)
    assert relative_gap(bpr_square(), result.policy) <= 1e-12


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PathEquilibrium(0.0), "tolerance is 0, not above 0"),
        (lambda: PathEquilibrium(sweeps=0), "sweeps is 0, less than 1"),
        (lambda: PathEquilibrium(tolerance=None), "tolerance is None, not a number"),
    ],
)
def test_bad_parameters(make, words):
    with pytest.raises(InvalidData, match=words):
        make()


def test_falling_costs_are_refused_and_the_other_route_is_named():
    game = two_roads().with_costs(AffineCosts([9.0, 9.0], [-0.1, 0.5]))
    with pytest.raises(InvalidGame, match="no convex program") as error:
        eqsolve.solve(game, TIGHT)
    assert "FixedPointNash" in str(error.value)
    assert "AtomicRouting" in str(error.value)


@pytest.mark.parametrize("name", ["beckmann", "all-or-nothing"])
def test_programs_by_name(name):
    result = solved(two_roads())
    assert result.algorithm.program(result, name).n_columns > 0


def test_a_city_of_many_types():
    """Compiled by its own size; the gap by another library."""
    game = grid_city(9, 9, zones=14, load=1.0, seed=4)
    assert isinstance(path_work(game), Compiled)
    result = eqsolve.solve(game, PathEquilibrium(1e-9))
    x = game.aggregator(result.policy)
    cost = game.costs.cost(x)
    result.policy.check(game)
    assert 1.0 - float(cheapest_by_networkx(game, cost) @ game.demand) / float(x @ cost) <= 1.01e-9


@needs_data
def test_sioux_falls_to_the_best_known_equilibrium():
    game = sioux_falls()
    result = eqsolve.solve(game, PathEquilibrium())
    assert result.status is Status.CONVERGED
    assert relative_gap(game, result.policy) <= 1.01e-8
    assert result.state.objective == pytest.approx(OBJECTIVE, rel=1e-8)
    assert game.aggregator(result.policy) == pytest.approx(best_known_flow()[0], rel=1e-4)
    finest = eqsolve.solve(game, PathEquilibrium(1e-13))
    assert game.aggregator(finest.policy) == pytest.approx(best_known_flow()[0], abs=1e-4)
    assert finest.state.objective == pytest.approx(OBJECTIVE, rel=1e-14)
    assert finest.state.lower == pytest.approx(OBJECTIVE, rel=1e-12)
