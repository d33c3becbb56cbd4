"""All or nothing, masters and the choice by name: certificate first, then shortest paths and enumeration as oracles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from eqsolve.aggregative.congestion_games import PathFlows
from eqsolve.aggregative.congestion_games.beckmann import objective_of
from eqsolve.aggregative.congestion_games.flow_blocks import Units
from eqsolve.aggregative.congestion_games.generators import braess, random_routed
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.aggregative.congestion_games.piecewise import piecewise_program, points_around, rough_loads
from eqsolve.aggregative.congestion_games.programs import (
    NAMES,
    all_or_nothing_program,
    master_program,
    named_program,
    selection_program,
)
from eqsolve.backends import choose_backend, solve_program
from eqsolve.certificates import certify
from eqsolve.errors import BackendUnsupported, InvalidData, UnknownName
from eqsolve.programs import Update
from tests.aggregative.congestion_games.convex_games import GAMES, crossing, game_of
from tests.backends.usable import usable_backends


@pytest.mark.parametrize("backend", [*usable_backends("LP"), "native"])
def test_all_or_nothing_is_shortest_paths_on_every_backend(backend):
    game = crossing()
    cost = game.costs.cost(rough_loads(game))
    program = all_or_nothing_program(game, cost)
    outcome = solve_program(program, backend=backend)
    assert outcome.is_optimal, outcome.notes
    if outcome.y is not None:
        assert certify(program, outcome).holds(1e-6)
    least = game.actions.cheapest(cost).least
    assert objective_of(game, program, outcome.x) == pytest.approx(float(game.demand @ least), rel=1e-6)


@pytest.mark.parametrize("name", GAMES)
def test_all_or_nothing_of_every_kind_of_actions(name):
    game = game_of(name)
    cost = np.random.default_rng(1).uniform(0.5, 2.0, game.n_coordinates)
    listed = game.actions.listed()
    least = np.minimum.reduceat(listed.incidence @ cost, listed.offsets[:-1])
    for paths in (None, PathSet.all_or_nothing(game, cost)):
        program = all_or_nothing_program(game, cost, paths=paths)
        for backend in ("highs", "native"):
            outcome = solve_program(program, backend)
            assert certify(program, outcome).holds(1e-8), str(certify(program, outcome))
            assert objective_of(game, program, outcome.x) == pytest.approx(float(game.demand @ least), rel=1e-9)
            assert outcome.is_vertex
    assert choose_backend(program)[0].name == "native"


def test_native_takes_no_other_program():
    game = crossing()
    program = all_or_nothing_program(game, np.ones(7))
    c, upper = program.c.copy(), program.col_upper.copy()
    c[0], upper[1] = 0.5, 3.0
    changes = {"differ between the origins": Update(c=c), "col_upper": Update(col_upper=upper), "negative": Update(c=-c)}
    for why, update in changes.items():
        assert why in program.structure.refuses(program.with_values(update))
    with pytest.raises(BackendUnsupported, match="differ between the origins"):
        solve_program(program.with_values(Update(c=c)), "native")


@pytest.mark.parametrize("backend", ["highs", "native"])
def test_the_duals_are_distances(backend):
    game = crossing()
    cost = game.costs.cost(np.zeros(7))
    program = all_or_nothing_program(game, cost)
    outcome = solve_program(program, backend)
    price = outcome.y[program.row_block("conservation").slice].reshape(2, 4) * Units.of(game).price
    for t, (o, d) in enumerate([(0, 2), (1, 2), (0, 1)]):
        assert price[o, d] - price[o, o] == pytest.approx(game.actions.cheapest(cost).least[t], rel=1e-9)


def test_columns_that_price_out_improve_the_master():
    """At the duals of a master over few paths, a path cheaper than the dual of its demand lowers the optimum; else it is best."""
    game = game_of("routed")
    points = points_around(game, rough_loads(game), 0.02)
    paths = PathSet.all_or_nothing(game, game.costs.cost(np.zeros(game.n_coordinates)))
    units = Units.of(game)
    values = []
    for _ in range(20):
        program = master_program(game, paths, points)
        outcome = solve_program(program, "highs")
        assert certify(program, outcome).holds(1e-7)
        values.append(objective_of(game, program, outcome.x))
        price = np.maximum(-outcome.y[program.row_block("load").slice], 0.0) * units.price
        own = outcome.y[program.row_block("demand").slice] * units.price / game.weight
        found = game.actions.cheapest(price)
        better = np.flatnonzero(found.least < own - 1e-9)
        if not len(better):
            break
        paths, _ = paths.joined(game, found, better)
    whole = piecewise_program(game, points)
    best = solve_program(whole, "highs")
    assert certify(whole, best).holds(1e-7)
    assert values[-1] == pytest.approx(objective_of(game, whole, best.x), rel=1e-7)
    assert len(values) > 1
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(values))


def test_programs_read_like_the_paper():
    game = braess()
    paths = PathSet.all_or_nothing(game, game.costs.cost(np.full(5, 3.0)))
    text = str(master_program(game, paths, points_around(game, np.full(5, 2.0))))
    assert "master program" in text
    assert "sum_j f[i, j] = 0.6" in text
    assert "y[road, piece]" in text
    assert all_or_nothing_program(game, np.ones(5)).row("conservation", 0, 1) == (
        "conservation[0, 1]: v[0, 0-1] - v[0, 1-2] - v[0, 1-3] = 0"
    )
    chosen = selection_program(game, paths, np.ones(5), np.full(5, 2.0), np.full(5, 1.0), "max")
    assert chosen.sense == "max"
    assert "load[road]" in str(chosen)


def test_programs_by_name():
    game = random_routed(nodes=4, links=6, types=2, seed=2)
    flows = PathSet.all_or_nothing(game, np.ones(6)).flows()
    assert named_program(game, flows).name == "Beckmann program"
    assert {name: named_program(game, flows, name).kind for name in NAMES} == {
        "beckmann": "SOCP",
        "system": "SOCP",
        "all-or-nothing": "LP",
        "master": "LP",
        "inner": "LP",
        "outer": "LP",
        "vertex": "LP",
    }
    for wrong in (("mastr",), ("beckmann", 1)):
        with pytest.raises(UnknownName, match=":".join(map(str, wrong))):
            named_program(game, flows, *wrong)


def test_bad_input_is_refused():
    game = braess()
    with pytest.raises(InvalidData, match=r"cost of 1-2 is -1, not 0 or more"):
        all_or_nothing_program(game, np.array([1.0, 1.0, -1.0, 1.0, 1.0]))
    with pytest.raises(InvalidData, match="cost has shape"):
        all_or_nothing_program(game, np.ones(4))
    paths = PathFlows([0], [0, 2], [0, 3], [6.0])
    with pytest.raises(InvalidData, match="half_width of 0-2 is -1"):
        selection_program(game, paths, np.ones(5), np.ones(5), np.array([1.0, -1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(InvalidData, match="sense is 'least'"):
        selection_program(game, paths, np.ones(5), np.ones(5), np.ones(5), "least")
