"""Fractional flows moved to a vertex on every backend, and rounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative.congestion_games import CongestionGame, ListedActions
from eqsolve.aggregative.congestion_games.purification import purified_solution
from eqsolve.aggregative.congestion_games.rounding import largest_remainders, split_paths
from eqsolve.aggregative.congestion_games.vertex_program import flows_of_point, used_by_type, vertex_flows, vertex_program
from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.errors import InvalidData, InvalidGame
from tests.aggregative.congestion_games.atomic_games import flows_of, listed_game, random_costs, random_flows, routed_game
from tests.backends.usable import able_backends, usable_backends


def fractional(seed, **more):
    rng = np.random.default_rng(seed)
    game = routed_game(rng, equal=seed % 2 == 0, **more)
    return game, random_flows(game, rng, atomic=False)


def extra_paths(flows):
    """Loop over types: paths in use beyond one."""
    return sum(int((flows.flow[flows.type_of == t] > 0).sum()) - 1 for t in set(flows.type_of.tolist()))


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("backend", [*usable_backends("LP"), "native"])
def test_vertex_keeps_the_loads_with_few_paths(backend, seed):
    game, flows = fractional(seed)
    program = vertex_program(game, flows)
    assert backend in able_backends(program)
    outcome = solve_program(program, backend, vertex=True)
    assert certify(program, outcome).holds(1e-6)
    vertex = flows_of_point(game, flows, outcome.x)
    vertex.check(game)
    assert game.aggregator(vertex) == pytest.approx(game.aggregator(flows), abs=1e-6)
    loaded = int((game.aggregator(flows) > 0).sum())
    assert extra_paths(vertex) == split_paths(game, vertex)[1] <= loaded <= game.n_coordinates < extra_paths(flows)
    used = np.array([np.isin(np.arange(game.n_coordinates), vertex.path(p)) for p in range(vertex.n_paths)], dtype=float)
    rows = np.hstack((vertex.type_of[:, None] == np.arange(game.n_types), used * game.weight[vertex.type_of][:, None]))
    assert np.linalg.matrix_rank(rows) == vertex.n_paths


def test_loads_within_a_tolerance_and_an_objective():
    game, flows = fractional(3)
    length = np.random.default_rng(0).uniform(1, 2, game.n_coordinates)
    g = flows.path_costs(length)
    before = float(g @ flows.flow)
    fixed, _ = vertex_flows(game, flows, objective=g)
    assert fixed.path_costs(length) @ fixed.flow <= before * (1 + 1e-9)
    loose, outcome = vertex_flows(game, flows, tolerance=0.5, objective=g)
    assert outcome.objective == pytest.approx(loose.path_costs(length) @ loose.flow)
    assert outcome.objective < before - 0.1
    change = np.abs(game.aggregator(loose) - game.aggregator(flows))
    assert 0.4 < change.max() <= 0.5 + 1e-6
    assert vertex_program(game, flows, 0.5).structure is None
    with pytest.raises(InvalidData, match="tolerance is -1"):
        vertex_program(game, flows, -1.0)
    with pytest.raises(InvalidData, match="objective has shape 2"):
        vertex_program(game, flows, objective=[1.0, 2.0])


def test_native_method_refuses_what_it_cannot_answer():
    game, flows = fractional(3)
    program = vertex_program(game, flows, objective=np.arange(float(flows.n_paths)))
    assert "objective" in program.structure.refuses(program)
    other = vertex_program(game, flows).structure
    assert other.refuses(vertex_program(game, flows, 0.5)) == "its loads are not fixed"
    half = flows_of(game, [(flows.path(p).tolist(), 1.0) for p in range(3)], atomic=False)
    assert "not the vertex program" in other.refuses(vertex_program(game, half))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_purified_solution_is_a_vertex(seed):
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 25))
    A = np.vstack((np.ones(columns), rng.integers(-1, 2, (rows, columns)).astype(float)))
    f = np.where(rng.random(columns) < 0.8, rng.random(columns) * 10 ** rng.uniform(-3, 3, columns), 0.0)
    c = rng.normal(size=columns) * rng.integers(0, 2)
    g = purified_solution(A, f, c, np.full(columns, 1e-12))
    size = f.sum() + 1.0
    assert g.min(initial=0.0) >= 0
    assert A @ g == pytest.approx(A @ f, abs=1e-9 * size)
    assert c @ g <= c @ f + 1e-9 * size
    support = A[:, g > 0]
    assert np.linalg.matrix_rank(support) == support.shape[1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_rounding_moves_each_load_by_what_it_may(seed):
    rng = np.random.default_rng(seed)
    game = listed_game(rng, "affine", equal=False)
    flows = random_flows(game, rng, atomic=False)
    whole = largest_remainders(game, flows)
    whole.check(game)
    for p in range(whole.n_paths):
        t = int(whole.type_of[p])
        same = [flows.flow[k] for k in np.flatnonzero(flows.type_of == t) if flows.path(k).tolist() == whole.path(p).tolist()]
        assert any(np.floor(f) <= whole.flow[p] <= np.ceil(f) for f in same)
    used, _ = split_paths(game, flows)
    most = (game.weight * (used**2 // 4) / used).sum()
    assert np.abs(game.aggregator(whole) - game.aggregator(flows)).max() <= most + 1e-9


def test_rounding_takes_the_largest_remainders():
    actions = ListedActions.of([[[0], [1], [2]], [[0]]], 3)
    game = CongestionGame(random_costs(3, np.random.default_rng(0), "affine"), actions, [5.0, 2.0])
    flows = flows_of(game, [([0], 1.6), ([1], 0.4), ([2], 3.0), ([0], 2.0)], atomic=False, kinds=[0, 0, 0, 1])
    whole = largest_remainders(game, flows)
    assert whole.atomic
    assert whole.flow.tolist() == [2.0, 3.0, 2.0]
    halves = CongestionGame(game.costs, actions, [4.5, 2.0])
    with pytest.raises(InvalidGame, match=r"count of type 0 is 4\.5, and an atomic game has whole vehicles"):
        largest_remainders(halves, flows)


def test_columns_are_the_used_paths_by_type():
    game, flows = fractional(4)
    order = used_by_type(flows)
    program = vertex_program(game, flows)
    assert (np.diff(flows.type_of[order]) >= 0).all()
    assert program.n_columns == len(order) == (flows.flow > 0).sum()
    assert program.row_lower[: game.n_types].tolist() == game.count.tolist()
