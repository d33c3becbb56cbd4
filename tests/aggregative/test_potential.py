"""Potential games beyond the grid: detection, the convex program, its own method, and the rounded equilibrium."""

from __future__ import annotations

import numpy as np
import pytest

import eqsolve
from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    CallablePayoffs,
    CurvePayoffs,
    Curves,
    NoPotential,
    PolynomialPayoffs,
    Potential,
    PotentialNash,
    Powers,
    Quadratic,
    Smooth,
    congestion,
    ev_charging,
    find_potential,
    market,
    nash_gap,
    player_gains,
    potential_program,
    random_affine,
)
from eqsolve.aggregative.interior_point import gram
from eqsolve.aggregative.mean_field import mixed_equilibrium, shortfalls
from eqsolve.aggregative.rounding import support_excess
from eqsolve.backends import Limits, solve_program
from eqsolve.certificates import certify
from eqsolve.driver import Checkpoints, NothingReached, Result, Status
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData, UnknownName
from tests.aggregative.oracle import all_profiles, tiny_game
from tests.backends.usable import able_backends

NATIVE_ALONE = 1e-9


def layout(rng, types, least=1, most=3):
    n_actions = rng.integers(least, most + 1, types)
    return n_actions, np.repeat(np.arange(types), n_actions)


def affine_game(seed, types=4, d=2, least=1, count=None):
    """u = kappa g'Ax + base + (a term of the type), A negative semidefinite, now and then singular."""
    rng = np.random.default_rng(seed)
    n_actions, owner = layout(rng, types, least)
    g = rng.random((len(owner), d)) / types
    root = rng.standard_normal((d, int(rng.integers(1, d + 1))))
    kappa = rng.uniform(0.3, 3.0, types)
    slope = kappa[owner, None] * (g @ -(root @ root.T)) + rng.standard_normal((types, d))[owner]
    return AggregativeGame(n_actions, g, AffinePayoffs(rng.random(len(owner)), slope * types), rng.random(len(owner)), count)


def curve_game(seed, types=4, d=3, least=1, count=None):
    """Each action loads and reads one coordinate: u = kappa g F_k(x_k) + base, F_k falling, level here and there."""
    rng = np.random.default_rng(seed)
    n_actions, owner = layout(rng, types, least, d)
    coordinate = np.concatenate([rng.permutation(d)[:m] for m in n_actions])
    amount = rng.uniform(0.5, 1.0, types)
    g = np.zeros((len(owner), d))
    g[np.arange(len(owner)), coordinate] = amount[owner] / types
    curves = -np.cumsum(rng.choice([0.0, 1.0], (d, 7)) * rng.random((d, 7)), axis=1)
    kappa = rng.uniform(0.3, 3.0, types)
    payoff = CurvePayoffs(
        np.linspace(0, 1, 7), curves, coordinate, coordinate, kappa[owner] * amount[owner], rng.random(len(owner)), d
    )
    return AggregativeGame(n_actions, g, payoff, rng.random(len(owner)), count)


def power_game(seed, types=4, d=2, least=1, count=None):
    """u = kappa sum_k g_k F_k(x_k) + base + (a product of coordinates, the same for the type), F_k = -a x - b x^3."""
    rng = np.random.default_rng(seed)
    n_actions, owner = layout(rng, types, least)
    g = rng.random((len(owner), d)) / types
    kappa = rng.uniform(0.3, 3.0, types)
    eye = np.eye(d, dtype=int)
    powers = np.vstack((np.zeros((1, d), dtype=int), eye, 3 * eye, np.ones((1, d), dtype=int)))
    share = kappa[owner, None] * g * types
    coefficient = np.hstack(
        (
            rng.random((len(owner), 1)),
            -share * rng.random(d),
            -share * rng.random(d),
            rng.standard_normal((types, 1))[owner],
        )
    )
    return AggregativeGame(n_actions, g, PolynomialPayoffs(powers, coefficient), rng.random(len(owner)), count)


MAKERS = {"affine": affine_game, "curves": curve_game, "powers": power_game}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("seed", range(25))
def test_games_with_a_potential_are_solved_within_their_bound(make, seed):
    game = make(seed)
    result = eqsolve.solve(game, PotentialNash())
    assert result.certificate.holds(1e-7)
    assert result.is_converged
    mine = {one.plays.tobytes(): one for one in all_profiles(game)}[game.plays(result.actions).tobytes()]
    assert result.gap.upper == pytest.approx(mine.gap, abs=1e-12)
    bound = result.bounds[0]
    assert bound.value is not None
    assert result.gap.upper <= bound.value + 1e-12
    assert sum(bound.terms.values()) == pytest.approx(bound.value)
    assert result.mixed.error <= 1e-7 * np.abs(game.payoff.batch(result.mixed.x[None, :])).max()
    assert support_excess(result.merged, result.mixed.p) <= game.n_coordinates
    assert bound.terms["(d+1) delta gamma"] <= (game.n_coordinates + 1) * game.delta * game.gamma.max() * (1 + 1e-9)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("seed", range(8))
def test_the_maximum_of_the_potential_beats_every_profile(make, seed):
    """The optimum of the program is at least the potential of every pure profile, computed from kappa, base and Psi alone."""
    game = make(seed)
    result = eqsolve.solve(game, PotentialNash())
    potential = result.potential
    top = result.history["potential"][-1]
    for one in all_profiles(game):
        plays = result.merged.plays(np.array(one.actions))
        value = potential.shape.value(one.x) + float(potential.weights(result.merged) @ plays)
        assert value <= top + 1e-7 * (1 + abs(top))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("seed", range(10))
def test_what_is_found_says_what_the_payoffs_are(make, seed):
    game = make(seed, types=9, d=3, least=2)
    potential = find_potential(game)
    assert potential.check(game, samples=40, seed=seed) <= 1e-9
    assert (np.asarray(potential.kappa) > 0).all()


@pytest.mark.parametrize("seed", range(15))
def test_a_column_that_does_not_fit_is_refused(seed):
    rng = np.random.default_rng(seed)
    game = affine_game(seed, types=12, d=3, least=3)
    column = int(rng.integers(game.n_columns))
    slope = game.payoff.slope.copy()
    slope[column, int(rng.integers(3))] += 0.1
    with pytest.raises(NoPotential, match=r"there is no potential: the slopes of player \d+ are not kappa times"):
        find_potential(AggregativeGame(game.n_actions, game.contribution, AffinePayoffs(game.payoff.base, slope)))

    game = curve_game(seed, types=12, d=3, least=3)
    scale = game.payoff.scale.copy()
    scale[column := int(rng.integers(game.n_columns))] *= 1.1
    payoff = CurvePayoffs(
        game.payoff.nodes, game.payoff.curves, game.payoff.curve, game.payoff.coordinate, scale, game.payoff.base, 3
    )
    if np.ptp(game.payoff.curves[game.payoff.curve[column]]) > 0.0:
        label = game.type_label(int(game.owner[column]))
        with pytest.raises(NoPotential, match=f"{label} (weighs|reacts)"):
            find_potential(AggregativeGame(game.n_actions, game.contribution, payoff))

    game = power_game(seed, types=12, d=2, least=3)
    coefficient = game.payoff.coefficient.copy()
    coefficient[column := int(rng.integers(game.n_columns)), 2] *= 1.1
    changed = AggregativeGame(game.n_actions, game.contribution, PolynomialPayoffs(game.payoff.powers, coefficient))
    with pytest.raises(NoPotential, match=rf"player {game.owner[column]}, action \d+ reacts to coordinate 1"):
        find_potential(changed)


def test_reasons_for_which_there_is_none():
    g = np.array([[0.0], [1.0], [0.0], [1.0]])
    rising = AggregativeGame([2, 2], g, AffinePayoffs(np.zeros(4), np.array([[0.0], [1.0], [0.0], [1.0]])))
    with pytest.raises(NoPotential, match="not concave: its matrix has the eigenvalue"):
        find_potential(rising)
    slopes = np.array([0.0, -1.0, 0.0, -2.0, 0.0, 1.0])[:, None]
    against = AggregativeGame([2, 2, 2], np.tile([[0.0], [1.0]], (3, 1)), AffinePayoffs(np.zeros(6), slopes))
    with pytest.raises(NoPotential, match="player 2 would have a weight that is not positive"):
        find_potential(against)
    still = AggregativeGame([2, 2], np.array([[0.0], [1.0], [1.0], [1.0]]), AffinePayoffs(np.zeros(4), -g))
    with pytest.raises(NoPotential, match="player 1"):
        find_potential(still)
    nodes = np.linspace(0, 2, 5)
    hill = CurvePayoffs(nodes, [[0.0, 1.0, 1.0, 0.5, 0.0]], [0] * 4, [0] * 4, g[:, 0], np.zeros(4), 1)
    with pytest.raises(NoPotential, match=r"rise with coordinate load between x = 0 and 0.5"):
        find_potential(AggregativeGame([2, 2], g, hill, coordinates=("load",)))
    cubic = PolynomialPayoffs([[1], [3]], np.outer(g[:, 0], [1.0, -1.0]))
    with pytest.raises(NoPotential, match="rise with coordinate 0 at x = 0"):
        find_potential(AggregativeGame([2, 2], g, cubic))
    both = PolynomialPayoffs([[1, 1]], [[0.0], [1.0]])
    with pytest.raises(NoPotential, match="player 0, action 1 holds a product of the coordinates 0 and 1"):
        find_potential(AggregativeGame([2], np.eye(2), both))
    for seed in (3, 4):
        with pytest.raises(NoPotential, match="cannot be read off payoffs of the family"):
            find_potential(tiny_game(seed))
    scale = np.tile([0.0, 1.0], 3)
    curves = [[0, -1, -2, -3, -4], [0, -1, -1, -1, -1]]
    two = CurvePayoffs(nodes * 2, curves, [0, 0, 0, 0, 0, 1], [0] * 6, scale, np.zeros(6), 1)
    with pytest.raises(NoPotential, match="player 2, action 1 reacts to coordinate 0 follows another curve"):
        find_potential(AggregativeGame([2, 2, 2], scale[:, None], two))


def test_random_affine_games_in_one_dimension_have_one_exactly_where_the_signs_allow():
    """With two actions and one coordinate the only condition is that slopes fall where contributions rise."""
    found = 0
    for seed in range(40):
        game = random_affine(3, 2, 1, seed=seed)
        falls = np.diff(game.payoff.slope.reshape(3, 2)) * np.diff(game.contribution.reshape(3, 2)) < 0
        if falls.all():
            found += 1
            assert isinstance(find_potential(game).shape, Quadratic)
        else:
            with pytest.raises(NoPotential):
                find_potential(game)
    assert 0 < found < 40


def test_blocks_that_do_not_meet_have_scales_of_their_own():
    """Two groups of types on coordinates of their own: A is not unique up to one factor, and any positive choice will do."""
    rng = np.random.default_rng(0)
    g = np.zeros((12, 4))
    g[:6, :2], g[6:, 2:] = rng.random((6, 2)), rng.random((6, 2))
    A = np.zeros((4, 4))
    A[:2, :2], A[2:, 2:] = -np.eye(2), -5 * np.array([[2.0, 1.0], [1.0, 2.0]])
    kappa = np.repeat([1.0, 2.0, 7.0, 3.0], 3)
    game = AggregativeGame([3] * 4, g, AffinePayoffs(rng.random(12), kappa[:, None] * (g @ A)))
    potential = find_potential(game)
    assert potential.check(game) < 1e-9
    ratio = np.asarray(potential.kappa) / kappa[::3]
    assert ratio[0] == pytest.approx(ratio[1])
    assert ratio[2] == pytest.approx(ratio[3])


def test_linear_polynomials_are_affine():
    game = affine_game(1, types=5, d=3, least=2)
    powers = np.vstack((np.zeros((1, 3), dtype=int), np.eye(3, dtype=int)))
    same = PolynomialPayoffs(powers, np.column_stack((game.payoff.base, game.payoff.slope)))
    other = find_potential(AggregativeGame(game.n_actions, game.contribution, same))
    assert other.kappa == pytest.approx(find_potential(game).kappa)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_every_backend_answers_the_same_program(make):
    game = make(3, types=6, d=3, least=2).merged()
    program = potential_program(game, find_potential(game))
    best = solve_program(program, "native")
    assert certify(program, best).holds(NATIVE_ALONE)
    for backend in able_backends(program):
        outcome = solve_program(program, backend)
        assert certify(program, outcome).holds(2e-5), backend
        assert outcome.objective == pytest.approx(best.objective, abs=1e-4), backend
        mixed = mixed_equilibrium(game, outcome.x[: game.n_columns])
        assert support_excess(game, mixed.p) <= 3
        if make is not power_game:  # whose program is a model at one point
            assert mixed.error <= 2e-2, backend


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_native_is_certified_from_the_data(make, seed):
    rng = np.random.default_rng(seed)
    types = int(rng.integers(1, 40))
    game = (
        make(seed, types=types, d=int(rng.integers(2, 6)), count=rng.integers(1, 1000, types))
        if make is affine_game
        else make(seed)
    )
    try:
        potential = find_potential(game)
    except NoPotential:  # types alone may well have none; this test is of the program
        potential = Potential(Quadratic(-np.eye(game.n_coordinates), np.zeros(game.n_coordinates)), 1.0, rng.random(game.n_columns))
    program = potential_program(game, potential)
    outcome = solve_program(program, "native")
    assert outcome.is_optimal
    assert certify(program, outcome).holds(NATIVE_ALONE)


def test_the_program_reads_like_the_paper():
    program = PotentialNash().select(ev_charging(20, 3), "", lambda: None)
    text = str(program)
    assert "aggregative potential program   QP, maximise" in text
    assert "x[coordinate, piece]" in text
    assert "structure  potential" in text
    flat = AggregativeGame([2], np.array([[0.0], [1.0]]), AffinePayoffs(np.array([0.0, 1.0]), np.zeros((2, 1))))
    result = eqsolve.solve(flat, PotentialNash())
    assert result.program().kind == "LP"
    assert result.actions.tolist() == [1]


@pytest.mark.parametrize(
    "game", [market(200), congestion(300, 5), congestion(3000, 4, types=5), ev_charging(400, 12)], ids=lambda game: game.name
)
def test_standard_games(game):
    result = eqsolve.solve(game, PotentialNash())
    assert result.certificate.holds(1e-7)
    assert result.is_converged
    assert result.gap.upper == pytest.approx(player_gains(result.merged, result.plays).max(), abs=1e-12)
    assert nash_gap(game, game.plays(result.actions)).upper == pytest.approx(result.gap.upper, abs=1e-12)
    assert result.gap.upper <= result.bounds[0].value
    assert result.bounds[0].terms["eta"] <= 1e-6 * result.bounds[0].value
    nearest = eqsolve.solve(game, PotentialNash(rounding="nearest"))
    assert result.gap.upper <= nearest.gap.upper <= nearest.bounds[0].value


def test_dimensions_no_grid_could_hold():
    game = ev_charging(1500, 24, seed=3)
    result = eqsolve.solve(game, PotentialNash())
    assert result.is_converged
    assert result.gap.upper <= result.bounds[0].value
    assert result.bounds[0].value <= 25 * game.delta * game.gamma.max()
    assert result.history["distance"][-1] < 1e-9


def declared(seed=0, players=40):
    """u = kappa (g . F(x)) + base with Psi = -log(sum exp(x)): no coordinate stands alone."""
    rng = np.random.default_rng(seed)
    g, base = rng.random((players * 3, 3)) / players, rng.random(players * 3) / players
    kappa = rng.uniform(0.5, 2.0, players)

    def gradient(x):
        weight = np.exp(x - x.max())
        return -weight / weight.sum()

    def payoff(columns, x):
        weight = np.exp(x)
        return kappa[columns // 3] * np.einsum("kd,kd->k", g[columns], -weight / weight.sum(axis=1, keepdims=True)) + base[columns]

    steep = (kappa[:, None] * g.reshape(players, 3, 3).max(axis=2)).reshape(-1)
    game = AggregativeGame([3] * players, g, CallablePayoffs(payoff, steep, players * 3, 3))
    shape = Smooth(lambda x: -np.log(np.exp(x).sum()), gradient, 3)
    return game, Potential(shape, kappa, base)


def test_a_declared_potential():
    game, potential = declared()
    result = eqsolve.solve(game, PotentialNash(potential))
    assert result.certificate.holds(1e-7)
    assert result.is_converged
    assert result.iterations < 20
    assert result.gap.upper <= result.bounds[0].value
    assert "declared Lipschitz constants" in result.bounds[0].source
    assert shortfalls(game, result.mixed.x)[result.mixed.p > 0].max() <= 1e-8
    with_hessian = Smooth(potential.shape.value, potential.shape.gradient, 3, lambda x: -np.diag(-potential.shape.gradient(x)))
    assert eqsolve.solve(game, PotentialNash(Potential(with_hessian, potential.kappa, potential.base))).gap.upper <= 1e-3
    assert "Smooth" in str(result)


def test_a_declared_potential_is_checked():
    game, potential = declared()
    kappa = np.array(potential.kappa)
    kappa[7] *= 1.01
    with pytest.raises(NoPotential, match=r"the potential is off by .* for player 7, action"):
        eqsolve.solve(game, PotentialNash(Potential(potential.shape, kappa, potential.base)))
    bent = Smooth(lambda x: float(x @ x), lambda x: 2 * x, 3)
    with pytest.raises(NoPotential, match="not concave between"):
        eqsolve.solve(game, PotentialNash(Potential(bent, kappa, potential.base)))


def test_a_potential_declared_for_players_that_are_merged_otherwise():
    """kappa and base belong to the players as given; the profile counts over the merged game."""
    game = congestion(12, 2, types=2)
    kinds = game.player_types
    columns = (game.offsets[kinds][:, None] + np.arange(2)).reshape(-1)
    alone = AggregativeGame([2] * 12, game.contribution[columns], game.payoff.take(columns), game.weights[columns])
    found = find_potential(alone)
    result = eqsolve.solve(alone, PotentialNash(found))
    assert result.merged.n_types == 2
    assert nash_gap(alone, alone.plays(result.actions)).upper == pytest.approx(result.gap.upper, abs=1e-12)
    assert result.gap.upper <= result.bounds[0].value


def test_bad_input():
    line = Quadratic(np.zeros((1, 1)), np.zeros(1))
    with pytest.raises(InvalidData, match=r"potential.kappa\[1\] is 0"):
        Potential(line, [1.0, 0.0])
    with pytest.raises(InvalidData, match=r"potential.base\[0\] is nan"):
        Potential(line, 1.0, [np.nan])
    with pytest.raises(InvalidData, match=r"potential.shape is 3"):
        Potential(3)
    with pytest.raises(InvalidData, match="potential is 'x'"):
        PotentialNash("x")
    with pytest.raises(UnknownName, match="unknown rounding 'up'"):
        PotentialNash(rounding="up")
    with pytest.raises(InvalidData, match="has the eigenvalue 1"):
        Quadratic(np.eye(2), np.zeros(2))
    with pytest.raises(InvalidData, match=r"shape.matrix\[0, 1\] is 1, but \[1, 0\] is 0"):
        Quadratic(np.array([[-1.0, 1.0], [0.0, -1.0]]), np.zeros(2))
    with pytest.raises(InvalidData, match=r"shape.values\[0\] rises from 0 to 1"):
        Curves((np.array([0.0, 1.0]),), (np.array([0.0, 1.0]),))
    with pytest.raises(InvalidData, match=r"has 1 curves, shape.values 0"):
        Curves((np.array([0.0, 1.0]),), ())
    with pytest.raises(InvalidData, match="does not increase"):
        Curves((np.array([0.0, 0.0]),), (np.array([0.0, 0.0]),))
    with pytest.raises(InvalidData, match="which cannot be called"):
        Smooth(3, lambda x: x, 1)
    with pytest.raises(InvalidData, match="the potential has 1 coordinates, the game 3"):
        eqsolve.solve(congestion(5, 3), PotentialNash(Potential(line)))
    with pytest.raises(InvalidData, match=r"potential.kappa has shape 2"):
        eqsolve.solve(congestion(5, 2), PotentialNash(Potential(Quadratic(-np.eye(2), np.zeros(2)), [1.0, 1.0])))
    with pytest.raises(UnknownName, match="unknown program"):
        eqsolve.solve(market(5), PotentialNash()).program("other")


@pytest.mark.parametrize("shape", [Quadratic(-np.eye(2), np.ones(2)), Powers(np.array([[0, -1.0, 0, -2.0], [0, 0, -3.0, 0]]))])
def test_values_go_with_gradients(shape):
    rng = np.random.default_rng(0)
    for x in rng.random((5, 2)):
        for k in range(2):
            step = np.eye(2)[k] * 1e-6
            slope = (shape.value(x + step) - shape.value(x - step)) / 2e-6
            assert slope == pytest.approx(shape.gradient(x)[k], abs=1e-7)


def test_pieces_of_curves_add_up():
    rng = np.random.default_rng(1)
    nodes, values = np.array([0.0, 0.2, 0.5, 1.0]), np.array([1.0, 0.5, 0.5, -3.0])
    shape = Curves((nodes, nodes), (values, values[::-1] * 0 - nodes))
    low, high = np.array([0.1, 0.0]), np.array([0.8, 1.0])
    parts = shape.pieces(low, low, high, np.zeros(2))
    assert np.bincount(parts.coordinate).tolist() == [3, 1]  # the second curve is one straight line
    for x in low + rng.random((20, 2)) * (high - low):
        y = np.zeros(len(parts.coordinate))
        for k in range(2):
            left = x[k] - low[k]
            for m in np.flatnonzero(parts.coordinate == k):
                y[m] = min(left, parts.upper[m])
                left -= y[m]
        value = parts.offset + parts.slope @ y + (parts.curvature * y**2).sum() / 2
        assert value == pytest.approx(shape.value(x), abs=1e-12)
        assert shape.gradient(x)[0] == pytest.approx(np.interp(x[0], nodes, values))


def test_small_products_add_up_to_the_large_one():
    rng = np.random.default_rng(0)
    a, b = rng.random((1003, 7)), rng.random((1003, 7))
    assert gram(a, b) == pytest.approx(a.T @ b)


def test_budgets():
    game = congestion(200, 4)
    with pytest.raises(NothingReached, match="ended before its program was answered"):
        eqsolve.solve(game, PotentialNash(), limits=Limits(iterations=0))
    cut = eqsolve.solve(game, PotentialNash(), limits=Limits(iterations=1))
    assert cut.status is Status.OUT_OF_ITERATIONS
    assert cut.gap.upper <= cut.bounds[0].value + 1e-12
    assert cut.certificate.holds(1e-7)


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    game = congestion(200, 4)
    whole = eqsolve.solve(game, PotentialNash())
    assert whole.iterations > 2
    for cut in range(1, whole.iterations):
        asked = Checkpoints(tmp_path, seconds=0.0, resume=cut > 1)
        eqsolve.solve(game, PotentialNash(), checkpoint=asked, limits=Limits(iterations=cut))
    again = eqsolve.solve(game, PotentialNash(), checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.history.equals(whole.history)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert again.details() == whole.details()
    assert (again.gap, again.status, again.bounds) == (whole.gap, whole.status, whole.bounds)


def test_a_saved_run_can_be_read_and_judged_again(tmp_path):
    result = eqsolve.solve(ev_charging(60, 3), PotentialNash())
    back = Result.load(result.save(tmp_path / "run"))
    assert back.recertified() == result.gap
    assert back.certificate.holds(1e-7)
    assert back.program().write is not None
    assert to_bytes(back.policy) == to_bytes(result.policy)
    assert (tmp_path / "run" / "actions.csv").exists()
