"""Correlated and coarse correlated equilibria: certificate first, value second, definitions by loops."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.backends import Outcome, Termination, get_backend, solve_program
from eqsolve.certificates import certify
from eqsolve.errors import BackendFailure, BackendUnsupported, InvalidData, InvalidGame, UnknownName
from eqsolve.normal_form import (
    TEXTBOOK,
    NormalFormGame,
    chicken,
    congestion_game,
    correlated_equilibrium,
    correlated_gap,
    correlated_program,
    deviation_gains,
    nash_gap,
    random_game,
    rock_paper_scissors,
    shapley,
)
from eqsolve.normal_form.correlated import distribution_of
from eqsolve.normal_form.programs import largest_gains, payoff_units, support_program, units
from eqsolve.programs import Update
from tests.normal_form import oracle

USABLE = [
    name
    for name in ("native", "highs", "scipy", "cvxpy:CLARABEL", "pulp:CBC", "gurobi", "cvxpy:SCIPY")
    if get_backend(name).probe().usable
]
SHAPES = [(2, 2), (3, 2), (4, 3), (2, 2, 2), (3, 2, 2), (1, 3, 2), (2, 1), (3,)]

# name: best welfare over CE, over CCE. Aumann 1987 for chicken; dominance, uniqueness or a common best profile for the others. In
# Shapley's game no profile is worth more than 1.
WELFARE = {
    "prisoners_dilemma": (2.0, 2.0),
    "battle_of_sexes": (3.0, 3.0),
    "matching_pennies": (0.0, 0.0),
    "chicken": (10.5, 10.5),
    "rock_paper_scissors": (0.0, 0.0),
    "stag_hunt": (8.0, 8.0),
    "shapley": (1.0, 1.0),
}


@pytest.mark.parametrize("backend", USABLE)
@pytest.mark.parametrize("name", WELFARE)
def test_textbook_games(name, backend):
    game = TEXTBOOK[name]()
    for concept, best in zip(("CE", "CCE"), WELFARE[name], strict=True):
        found = correlated_equilibrium(game, concept, backend=backend)
        assert found.gap.holds(1e-6)
        assert found.certificate.holds(1e-6)
        assert found.value == pytest.approx(best, abs=1e-6)
        assert found.payoffs.sum() == pytest.approx(found.value, abs=1e-12)


def test_at_least_four_backends_are_tried():
    assert len(USABLE) >= 4


def test_aumanns_lottery_and_the_best_one():
    game = chicken()
    thirds = np.array([[1, 1], [1, 0]]) / 3
    assert correlated_gap(game, thirds, "CE").holds(1e-15)
    assert game.expected(thirds) == pytest.approx([5, 5])
    best = correlated_equilibrium(game)
    assert best.distribution == pytest.approx(np.array([[0.5, 0.25], [0.25, 0.0]]), abs=1e-12)
    assert "10.5" in str(best)
    assert "(yield, yield) 0.5" in str(best)


def test_the_only_equilibrium_of_rock_paper_scissors():
    for objective in ("welfare", "max_entropy", "max_gini", ("player", 0)):
        found = correlated_equilibrium(rock_paper_scissors(), "CE", objective)
        assert found.distribution == pytest.approx(np.full((3, 3), 1 / 9), abs=1e-5)


def test_shapleys_lottery():
    q = (np.eye(3) + np.roll(np.eye(3), 1, axis=1)) / 6
    assert correlated_gap(shapley(), q, "CE").holds(1e-15)
    uniform = nash_gap(shapley(), [np.full(3, 1 / 3)] * 2)
    assert uniform.holds(1e-15)


@pytest.mark.parametrize("seed", range(100))
def test_gaps_and_equilibria_by_definition(seed):
    rng = np.random.default_rng(seed)
    shape = SHAPES[seed % len(SHAPES)]
    whole = seed % 3 == 0
    u = rng.integers(-2, 3, (len(shape), *shape)).astype(float) if whole else rng.normal(size=(len(shape), *shape))
    game = NormalFormGame(u)
    q = rng.dirichlet(np.full(game.n_profiles, 0.5)).reshape(shape)
    assert correlated_gap(game, q, "CE").upper == pytest.approx(oracle.ce_gap(u, q), abs=1e-12)
    assert correlated_gap(game, q, "CCE").upper == pytest.approx(oracle.cce_gap(u, q), abs=1e-12)
    strategies = [rng.dirichlet(np.ones(m)) for m in shape]
    assert nash_gap(game, strategies).upper == pytest.approx(oracle.nash_gap(u, strategies), abs=1e-12)
    a = [int(rng.integers(m)) for m in shape]
    pure = [np.eye(m)[k] for m, k in zip(shape, a, strict=True)]
    assert nash_gap(game, a).upper == pytest.approx(oracle.nash_gap(u, pure), abs=1e-12)
    values = {}
    for concept, gap in (("CE", oracle.ce_gap), ("CCE", oracle.cce_gap)):
        found = correlated_equilibrium(game, concept)
        assert gap(u, found.distribution) <= 1e-8
        assert found.certificate.holds(1e-7)
        values[concept] = found.value
    pure_best = max((game.welfare[a] for a in oracle.pure_equilibria(u)), default=-np.inf)
    assert values["CCE"] + 1e-8 >= values["CE"] >= pure_best - 1e-8


@pytest.mark.parametrize("concept", ["CE", "CCE"])
@pytest.mark.parametrize(
    "game",
    [
        random_game([8, 8, 8], seed=1),
        random_game([2, 9, 5, 4], seed=2),
        random_game([6, 6, 6], seed=3, correlation=-0.5),
        congestion_game(4, 5, seed=4),
        NormalFormGame(1e6 * random_game([4, 5, 4, 6], seed=5).payoffs),
        NormalFormGame(1e-6 * random_game([4, 5, 4, 6], seed=5).payoffs),
        NormalFormGame(np.random.default_rng(6).integers(-1, 2, (3, 7, 5, 6))),
    ],
    ids=["random", "ragged", "constant-sum", "congestion", "large payoffs", "small payoffs", "ties"],
)
def test_sifting_agrees_with_the_whole_program(game, concept):
    size = np.abs(game.payoffs).max()
    for objective, sense in (("welfare", "max"), ("welfare", "min"), (("player", 1), "max"), (game.payoffs[0] ** 2, "min")):
        program = correlated_program(game, concept, objective, sense=sense)
        scale = max(np.abs(program.c).max(), 1e-9 * size)
        # HiGHS's tolerances are absolute, so it gets the game in units in which the largest payoff is 1.
        unit = correlated_program(NormalFormGame(game.payoffs / size), concept, program.c / scale, sense=sense)
        ours, theirs = solve_program(program, "native"), solve_program(unit, "highs")
        assert certify(program, ours).holds(1e-7 * max(1.0, scale))
        assert ours.objective == pytest.approx(theirs.objective * scale, abs=1e-6 * scale)
        found = correlated_equilibrium(game, concept, objective, sense=sense)
        assert found.gap.holds(1e-8 * size)


def test_sifting_refuses_what_was_changed_and_answers_infeasible_programs():
    program = correlated_program(random_game([5, 5, 5]), "CCE")
    assert program.structure.refuses(program) is None
    lifted = program.with_values(Update(col_lower=np.full(program.n_columns, 1e-4)))
    with pytest.raises(BackendUnsupported, match="lower bound of 0"):
        solve_program(lifted, "native")
    two_sided = program.with_values(Update(row_lower=np.where(np.isinf(program.row_lower), -5.0, program.row_lower)))
    assert "neither an equation" in program.structure.refuses(two_sided)
    # Nobody can gain at least 2 by leaving when all payoffs lie in [0, 1].
    impossible = program.with_values(Update(row_upper=np.where(program.row_lower == 1.0, 1.0, -2.0)))
    assert impossible.structure.solve(impossible).status == "infeasible"
    outcome = solve_program(impossible, "native")
    assert certify(impossible, outcome).holds(1e-9)
    assert certify(impossible, outcome).claim == "infeasible"


@pytest.mark.parametrize("concept", ["CE", "CCE"])
@pytest.mark.parametrize("shape", [(3, 4, 2), (5, 5, 5)])
def test_slack_is_used_and_not_exceeded(concept, shape):
    game = random_game(shape, seed=11)
    values = []
    for epsilon in (0.0, 0.02, 0.05, np.arange(1, 4) * 0.02, 2.0):
        found = correlated_equilibrium(game, concept, sense="min", epsilon=epsilon)
        assert found.certificate.holds(1e-7)
        assert np.isfinite(found.program().col_upper).all()
        assert found.gap.holds(np.max(epsilon) + 1e-9)
        for G, allowed in zip(deviation_gains(game, found.distribution), np.broadcast_to(epsilon, 3), strict=True):
            gain = G.max(axis=1).sum() if concept == "CE" else G.sum(axis=0).max()
            assert gain <= allowed + 1e-9
        values.append(found.value)
    assert values[0] > values[1] > values[2]
    assert values[-1] == pytest.approx(game.welfare.min())


@pytest.mark.parametrize("concept", ["CE", "CCE"])
def test_entropy_and_gini_beat_every_other_equilibrium(concept):
    game = random_game([3, 3, 2], seed=4)
    entropy = correlated_equilibrium(game, concept, "max_entropy")
    gini = correlated_equilibrium(game, concept, "max_gini")
    for found in (entropy, gini):
        assert found.gap.holds(1e-6)
        assert found.certificate.holds(1e-5)
    rng = np.random.default_rng(0)
    for _ in range(20):
        q = correlated_equilibrium(game, concept, rng.normal(size=game.shape)).distribution
        q = 0.5 * q + 0.5 * entropy.distribution
        assert -(q[q > 0] * np.log(q[q > 0])).sum() <= entropy.value + 1e-6
        assert 1 - (q**2).sum() <= gini.value + 1e-6


def test_profiles_that_are_never_played_have_no_cone():
    game = TEXTBOOK["prisoners_dilemma"]()
    found = correlated_equilibrium(game, "CE", "max_entropy")
    assert found.program().column_block("surprise").size == 1
    assert found.distribution[1, 1] == pytest.approx(1.0)
    support = solve_program(support_program(chicken(), "CE")).x[4:]
    assert support == pytest.approx(np.ones(4))  # the mixed equilibrium plays everything
    with pytest.raises(InvalidData, match="support has 3 entries"):
        correlated_program(chicken(), "CE", support=[True] * 3)


def test_entropy_where_the_best_chances_are_tiny():
    rng = np.random.default_rng(33)
    game = NormalFormGame(rng.integers(-2, 3, (2, 4, 4)).astype(float))
    for concept in ("CE", "CCE"):
        found = correlated_equilibrium(game, concept, "max_entropy", epsilon=0.05)
        assert found.gap.holds(0.05 + 1e-3)
        assert found.value == pytest.approx(1.0372, abs=1e-2)


def test_gini_over_many_profiles_takes_the_interior_point():
    found = correlated_equilibrium(random_game([5, 5, 5]), "CCE", "max_gini")
    assert found.outcome.backend == "cvxpy:CLARABEL"
    assert found.gap.holds(1e-6)
    assert found.certificate.holds(1e-5)


def test_extreme_payoffs_of_a_player():
    game = chicken()
    best = correlated_equilibrium(game, "CE", ("player", "row"))
    worst = correlated_equilibrium(game, "CE", ("player", "row"), sense="min")
    assert best.value == pytest.approx(7.0)  # the pure equilibrium (dare, yield)
    assert worst.value == pytest.approx(2.0)
    assert best.payoffs[0] == pytest.approx(7.0)


def test_a_common_interest_game_is_played_at_its_best_profile():
    game = random_game([4, 4, 4], correlation=1.0)
    found = correlated_equilibrium(game)
    assert found.support() == [(tuple(np.unravel_index(int(game.welfare.argmax()), game.shape)), pytest.approx(1.0))]


def test_rows_and_columns_by_name():
    program = correlated_program(chicken(), "CE")
    assert (
        program.row("incentive", "column", "dare", "yield")
        == "incentive[column, dare, yield]: -q[yield, dare] + 2 q[dare, dare] <= 0"
    )
    assert program.row("incentive", "row", "dare", "dare") == "incentive[row, dare, dare]: 0 <= 0"
    coarse = correlated_program(chicken(), "CCE")
    assert coarse.row("regret", "row", "dare") == "regret[row, dare]: q[yield, yield] - 2 q[yield, dare] <= 0"
    ragged = correlated_program(random_game([2, 3]), "CE")
    assert [block.name for block in ragged.rows] == ["incentive_0", "incentive_1", "one"]
    assert correlated_program(random_game([2, 3]), "CCE").row_block("regret").extent == "2 x 2..3"
    assert correlated_program(chicken(), "CE", epsilon=0.1).row_block("allowance").size == 2


@pytest.mark.parametrize("objective", ["welfare", "max_gini"])
def test_programs_are_written_and_read_back(tmp_path, objective):
    program = correlated_program(chicken(), "CE", objective, epsilon=0.1)
    again = type(program).read(program.write(tmp_path / "chicken.lp"))
    assert again.column_name(1) == program.column_name(1) == "q[yield, dare]"
    assert (again.A != program.A).nnz == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["CE", "CCE"]))
def test_equilibria_do_not_change_with_the_units(seed, concept):
    rng = np.random.default_rng(seed)
    game = NormalFormGame(rng.normal(size=(2, 3, 4)))
    scale, shift = rng.uniform(0.1, 10.0, 2), rng.normal(size=2)
    moved = NormalFormGame(game.payoffs * scale[:, None, None] + shift[:, None, None])
    weights = rng.normal(size=game.shape)
    first, second = (correlated_equilibrium(one, concept, weights) for one in (game, moved))
    assert first.value == pytest.approx(second.value, abs=1e-6)
    assert correlated_gap(moved, first.distribution, concept).holds(1e-6)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: correlated_equilibrium(chicken(), "NE"), UnknownName, "concept 'NE'"),
        (lambda: correlated_gap(chicken(), np.full(4, 0.25), "NE"), UnknownName, "concept 'NE'"),
        (lambda: correlated_equilibrium(chicken(), objective="wellfare"), UnknownName, "welfare"),
        (lambda: correlated_equilibrium(chicken(), objective=("player", 2)), UnknownName, "no player 2"),
        (lambda: correlated_equilibrium(chicken(), objective=[1.0, 2.0]), InvalidData, "shape 2, expected 2 x 2"),
        (lambda: correlated_equilibrium(chicken(), objective=[[1.0, np.inf], [0, 0]]), InvalidData, r"objective\[0, 1\] is inf"),
        (lambda: correlated_equilibrium(chicken(), sense="maximise"), InvalidData, "sense"),
        (lambda: correlated_equilibrium(chicken(), objective="max_gini", sense="min"), InvalidData, "maximised"),
        (lambda: correlated_equilibrium(chicken(), epsilon=[0.1, -0.1]), InvalidData, r"epsilon\[1\] is -0.1"),
        (lambda: correlated_equilibrium(chicken(), backend="higs"), UnknownName, "highs"),
        (lambda: correlated_equilibrium(chicken(), "CE", "max_entropy", backend="highs"), BackendUnsupported, "EXP"),
        (lambda: correlated_gap(chicken(), np.full(4, 0.3)), InvalidGame, "sums to 1.2"),
        (lambda: deviation_gains(chicken(), np.full(5, 0.2)), InvalidGame, "shape"),
        (lambda: nash_gap(chicken(), [0, 5]), InvalidGame, r"profile\[1\] is 5"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_backend_without_an_answer_is_an_error():
    from eqsolve.backends import Limits

    with pytest.raises(BackendFailure, match="returned no correlated equilibrium"):
        correlated_equilibrium(random_game([6, 6, 6]), backend="highs", limits=Limits(iterations=1), options={"presolve": "off"})


def gap_in_fractions(u, q, concept):
    """The gap in exact arithmetic, of the distribution divided by its sum."""
    n, shape = len(u), u.shape[1:]
    chance = {a: Fraction(float(q[a])) for a in oracle.profiles(shape)}
    most = Fraction(0)
    for i in range(n):
        gains = [
            [
                sum(
                    p * (Fraction(float(u[i][oracle.changed(a, i, b)])) - Fraction(float(u[i][a])))
                    for a, p in chance.items()
                    if a[i] == seen
                )
                for b in range(shape[i])
            ]
            for seen in range(shape[i])
        ]
        gain = sum(max(row) for row in gains) if concept == "CE" else max(map(sum, zip(*gains, strict=True)))
        most = max(most, gain)
    return float(most / sum(chance.values()))


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e10, -1e12])
def test_gaps_are_exact_far_from_zero(offset):
    """What all actions of a player earn alike takes no digits of the gap."""
    rng = np.random.default_rng(5)
    u = rng.integers(-8, 9, (3, 2, 3, 2)) / 8 + offset
    game = NormalFormGame(u)
    q = rng.dirichlet(np.ones(12)).reshape(2, 3, 2)
    for concept in ("CE", "CCE"):
        assert correlated_gap(game, q, concept).upper == pytest.approx(gap_in_fractions(u, q, concept), rel=1e-12)
    mixed = [rng.dirichlet(np.ones(m)) for m in (2, 3, 2)]
    assert nash_gap(game, mixed).upper == pytest.approx(gap_in_fractions(u, game.product(mixed), "CCE"), rel=1e-12)


def test_a_sum_within_its_tolerance_hides_no_gain():
    game = NormalFormGame([[[1e6, 1e6], [1e6 + 1e-5, 1e6 + 1e-5]], [[0, 0], [0, 0]]])
    assert nash_gap(game, [[0.5 + 5e-10, 0.5], [0.5, 0.5]]).upper == pytest.approx(5e-6, rel=1e-4)


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e9, 1e12])
def test_programs_are_posed_in_the_units_of_the_players(scale):
    base = random_game([3, 4, 2], seed=11).payoffs
    scales = np.array([scale, 1.0, 1.0 / scale])
    game, plain = NormalFormGame(base * scales[:, None, None, None]), NormalFormGame(base)
    weights = plain.welfare
    for concept in ("CE", "CCE"):
        unit = payoff_units(game)
        assert np.array_equal(unit, np.exp2(np.round(np.log2(unit))))
        assert ((largest_gains(game) / unit > 0.7) & (largest_gains(game) / unit < 1025)).all()
        for epsilon in (0.0, 0.05):
            for backend in ("native", "highs"):
                found = correlated_equilibrium(game, concept, weights, sense="min", epsilon=epsilon * scales, backend=backend)
                wanted = correlated_equilibrium(plain, concept, weights, sense="min", epsilon=epsilon)
                assert found.value == pytest.approx(wanted.value, abs=1e-6)
                for G, size in zip(deviation_gains(game, found.distribution), scales, strict=True):
                    gain = G.max(axis=1).sum() if concept == "CE" else G.sum(axis=0).max()
                    assert gain <= (epsilon + 1e-6) * size
        for objective in ("max_entropy", "max_gini"):
            found, wanted = (correlated_equilibrium(one, concept, objective) for one in (game, plain))
            assert found.value == pytest.approx(wanted.value, abs=1e-5)


def test_units_are_powers_of_two_and_one_for_ordinary_sizes():
    assert units(np.array([0.0, 0.75, 1.0, 3.0, 1000.0])).tolist() == [1.0] * 5
    assert units(np.array([0.5, 0.25, 2.0**-40, 2.0**11, 2.0**30])).tolist() == [0.5, 0.25, 2.0**-40, 2.0**11, 2.0**30]


def test_a_point_of_zeros_is_no_distribution():
    with pytest.raises(BackendFailure, match="without a positive probability"):
        distribution_of(chicken(), Outcome(Termination.ITERATION_LIMIT, x=np.zeros(4), backend="highs"))
