"""The exact methods for stage programs: against HiGHS, at vertices, with duals and Farkas rays that prove the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqsolve.aggregative import AffinePayoffs, AggregativeGame, AggregativeNash, congestion, market, random_affine
from eqsolve.aggregative.purify import purified
from eqsolve.aggregative.rounding import support_excess
from eqsolve.backends import Termination, get_backend, solve_program
from eqsolve.certificates import certify
from eqsolve.errors import BackendUnsupported
from eqsolve.programs import Update


def cells_of(dimension, count, seed):
    """Random cells of random games: ragged, typed, tight and loose."""
    rng = np.random.default_rng(seed)
    while count:
        kinds = None if rng.random() < 0.5 else int(rng.integers(2, 7))
        players = int(rng.integers(7, 60))
        game = random_affine(
            players, (1, 5), dimension, gamma=float(rng.uniform(0.1, 4)), types=kinds, seed=int(rng.integers(1 << 30))
        )
        family = AggregativeNash(float(rng.uniform(0, 2)), cells=int(rng.integers(2, 12))).family(game)
        for number in rng.integers(0, len(family), min(5, count)):
            yield game, family[int(number)]
            count -= 1


@pytest.mark.parametrize(("dimension", "count"), [(1, 500), (2, 150), (3, 150)])
def test_native_equals_highs(dimension, count):
    feasible = 0
    for game, program in cells_of(dimension, count, seed=dimension):
        mine = solve_program(program, "native", vertex=True)
        theirs = solve_program(program, "highs", vertex=True)
        assert mine.termination is theirs.termination
        assert certify(program, mine).holds(1e-9)
        if mine.termination is Termination.OPTIMAL:
            feasible += 1
            assert mine.objective == pytest.approx(theirs.objective, abs=1e-9)
            assert support_excess(game, mine.x) <= dimension
    assert count / 5 < feasible < count


def test_without_coupling_every_group_takes_its_best():
    game = random_affine(5, 3, 1, seed=4)
    family = AggregativeNash(10.0, cells=1).family(game)
    outcome = solve_program(family[0], "native")
    assert outcome.objective == pytest.approx(game.reduce(np.maximum, game.weights).sum(), abs=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("kinds", [None, 5])
def test_purify_ends_at_a_vertex_that_is_no_worse(dimension, kinds):
    rng = np.random.default_rng(dimension)
    for seed in range(25):
        game = random_affine(60, (1, 5), dimension, types=kinds, seed=seed)
        mix = rng.dirichlet(np.ones(game.n_columns))
        q = mix / game.reduce(np.add, mix)[game.owner] * game.players[game.owner]
        activity = game.contribution.T @ q
        low, high = activity - rng.choice([0.0, 0.01], dimension), activity + rng.choice([0.0, 0.02], dimension)
        need = game.players.astype(float)
        vertex = purified(game.offsets, need, game.contribution, low, high, game.weights, q)
        at = game.contribution.T @ vertex
        assert (vertex >= 0).all()
        assert game.reduce(np.add, vertex) == pytest.approx(need, abs=1e-9)
        assert (at >= low - 1e-9).all()
        assert (at <= high + 1e-9).all()
        assert game.weights @ vertex >= game.weights @ q - 1e-9
        tight = int(((at < low + 1e-9) | (at > high - 1e-9)).sum())
        assert support_excess(game, vertex) <= tight


@pytest.mark.parametrize("backend", ["highs", "scipy", "cvxpy:CLARABEL", "pulp:PULP_CBC_CMD"])
@pytest.mark.parametrize("game", [congestion(40, 2), market(30), congestion(200, 3, types=4)], ids=lambda game: game.name)
def test_every_backend_gives_a_vertex_and_the_same_equilibrium_value(game, backend):
    algorithm = AggregativeNash("opt", cells=16)
    native, other = algorithm.solve(game), algorithm.solve(game, backend=backend)
    assert other.certificate.holds(1e-6)
    assert other.is_converged
    assert other.found.bound == pytest.approx(native.found.bound, rel=1e-7, abs=1e-7)
    assert support_excess(other.merged, other.found.outcome.x) <= game.n_coordinates
    assert other.gap.upper <= other.bounds[0].value + 1e-9


def test_structure_refuses_what_it_cannot_solve():
    program = AggregativeNash(cells=2).family(congestion(5, 2))[0]
    half = np.where(np.arange(program.n_columns) == 3, 0.5, program.col_upper)
    with pytest.raises(BackendUnsupported, match="0 to the count of its group"):
        get_backend("native").open(program.with_values(Update(col_upper=half)))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_coupling_equalities_are_solved(d):
    """Cells always have width; a coupling row may be an equality all the same."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        game = random_affine(12, (2, 4), d, seed=seed)
        family = AggregativeNash(10.0, cells=1).family(game)
        program = family[0]
        mix = rng.dirichlet(np.ones(game.n_columns))
        activity = game.contribution.T @ (mix / game.reduce(np.add, mix)[game.owner]) * family.scale
        lower, upper = program.row_lower.copy(), program.row_upper.copy()
        lower[-d:] = upper[-d:] = activity
        fixed = program.with_values(Update(row_lower=lower, row_upper=upper))
        mine, theirs = solve_program(fixed, "native"), solve_program(fixed, "highs")
        assert mine.termination is theirs.termination is Termination.OPTIMAL
        assert certify(fixed, mine).holds(1e-8)
        assert mine.objective == pytest.approx(theirs.objective, abs=1e-7)


def test_greedy_reaches_an_end_that_rounding_puts_just_out_of_reach():
    n = 3
    game = AggregativeGame([2] * n, [[0.0], [0.1]] * n, AffinePayoffs(np.zeros(2 * n), np.zeros((2 * n, 1))), [1.0, 0.0] * n)
    program = AggregativeNash(10.0, cells=1).family(game)[0]
    lower, upper = program.row_lower.copy(), program.row_upper.copy()
    lower[-1] = upper[-1] = np.nextafter(3.0, np.inf)
    outcome = solve_program(program.with_values(Update(row_lower=lower, row_upper=upper)), "native")
    assert outcome.termination is Termination.OPTIMAL
    assert outcome.objective == pytest.approx(0.0, abs=1e-9)


def test_a_minimising_program_has_duals_in_its_own_sense():
    for d in (1, 2):
        program = AggregativeNash(0.1, cells=3).family(random_affine(20, 3, d, seed=1))[3**d // 2]
        negated = replace(program, sense="min", c=-program.c)
        up, down = solve_program(program, "native"), solve_program(negated, "native")
        assert down.objective == pytest.approx(-up.objective)
        assert certify(negated, down).holds(1e-9)
