"""The best exact pure equilibrium: against all profiles, on every backend, and as the oracle of the search over cells."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    AggregativeNash,
    ExactPureNash,
    NoPureEquilibrium,
    congestion,
    exact_program,
    market,
    nash_gap,
    random_affine,
)
from eqsolve.aggregative.enumeration import all_profiles, attainable, best_equilibrium, count_profiles
from eqsolve.aggregative.exact_program import plays_of, point_of
from eqsolve.backends import Limits, Termination, get_backend
from eqsolve.backends.outcome import violation
from eqsolve.certificates import GapCertificate, certify
from eqsolve.driver import Checkpoints, NothingReached, Result, Status, solve
from eqsolve.errors import BackendFailure, InvalidData, UnknownName
from tests.aggregative import oracle
from tests.aggregative.oracle import flat, tiny_game
from tests.backends.usable import able_backends


def clash(seed: int) -> AggregativeGame:
    """2 to 5 players whose payoffs depend on each other more than on themselves: some have no pure equilibrium."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 6)), int(rng.integers(1, 3))
    m = rng.integers(2, 4, n)
    columns = int(m.sum())
    payoff = AffinePayoffs(0.3 * rng.uniform(-1, 1, columns), rng.uniform(-1, 1, (columns, d)))
    return AggregativeGame(m, rng.uniform(-1, 1, (columns, d)), payoff, rng.random(columns))


def chase() -> AggregativeGame:
    """Matching pennies: one wants the other's action, the other does not; x is 2 a_0 + a_1."""
    g = [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    return AggregativeGame([2, 2], g, AffinePayoffs([0.0, -1.0, 0.0, 1.0], [[0.0, 0], [0, 2], [0, 0], [-2, 0]]))


def best_of_all(game: AggregativeGame) -> float | None:
    """The largest welfare of an equilibrium among all profiles, by loops that know nothing of the library."""
    welfare = [one.welfare for one in oracle.all_profiles(game) if one.gap <= 1e-12]
    return max(welfare, default=None)


def found(game: AggregativeGame, form: str, backend: str) -> float | None:
    """Certificate first: the gap is 0 and the program's answer holds; then the welfare, or None where there is none."""
    none = None
    try:
        result = ExactPureNash(form).solve(game, backend=backend)
    except NoPureEquilibrium as said:
        none = said
    if none is not None:
        assert none.proof == "enumeration"
        assert none.least_gap > 1e-12
        return None
    assert result.is_converged
    assert result.gap.upper <= result.rounding <= 1e-9
    assert nash_gap(game, game.plays(result.actions)).upper <= result.rounding
    return result.welfare


@pytest.mark.parametrize("seed", range(100))
def test_affine_games_against_all_profiles(seed):
    game = clash(seed)
    best = best_of_all(game)
    for form in ("indicator", "aggregators"):
        assert found(game, form, "highs") == (best if best is None else pytest.approx(best, abs=1e-9))
    assert found(game, "auto", "auto") == (best if best is None else pytest.approx(best, abs=1e-9))
    # The oracle of the search: its bound, with the tolerance that selects over exact equilibria, is never below.
    search = AggregativeNash("opt", cells=4, split=("all", "widest")[seed % 2]).solve(game)
    assert best is None or search.bound >= best - 1e-9


def test_some_of_these_games_have_no_equilibrium():
    assert 3 <= sum(best_equilibrium(clash(seed))[0] is None for seed in range(60)) <= 30


@pytest.mark.parametrize("seed", range(40))
def test_games_of_any_payoffs_against_all_profiles(seed):
    game = tiny_game(seed)
    best = best_of_all(game)
    for backend in ("auto", "highs"):
        assert found(game, "aggregators", backend) == (best if best is None else pytest.approx(best, abs=1e-9))


@pytest.mark.parametrize("seed", range(20))
def test_types_are_their_players(seed):
    rng = np.random.default_rng(seed)
    m, count = rng.integers(2, 4, 2), rng.integers(1, 4, 2)
    columns, d = int(m.sum()), 1 + seed % 2
    g, payoff = rng.uniform(-1, 1, (columns, d)), AffinePayoffs(rng.uniform(-1, 1, columns), rng.uniform(-1, 1, (columns, d)))
    game = AggregativeGame(m, g, payoff, rng.random(columns), count=count)
    own = [np.arange(a, b) for a, b in pairwise(game.offsets)]
    one_by_one = np.concatenate([np.tile(columns, k) for columns, k in zip(own, count, strict=True)])
    players = AggregativeGame(np.repeat(m, count), g[one_by_one], payoff.take(one_by_one), game.weights[one_by_one])
    best = best_of_all(players)
    for form in ("indicator", "aggregators"):
        assert found(game, form, "highs") == (best if best is None else pytest.approx(best, abs=1e-9))
    assert found(players, "auto", "auto") == (best if best is None else pytest.approx(best, abs=1e-9))


PROGRAMS = {
    "indicator": (clash(3), "indicator"),
    "indicator of types": (random_affine(9, 3, 2, types=3, seed=4), "indicator"),
    "aggregators": (congestion(12, 3, types=2), "aggregators"),
    "none": (chase(), "indicator"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_backend_agrees(name):
    game, form = PROGRAMS[name]
    merged = game.merged()
    program = exact_program(merged, form)
    plays, _ = best_equilibrium(merged)
    names = able_backends(program)
    assert "native" in names
    for backend in names:
        if plays is None:
            with pytest.raises(NoPureEquilibrium, match="at each of the 4 profiles somebody gains 1 or more"):
                ExactPureNash(form).solve(game, backend=backend)
            continue
        result = ExactPureNash(form).solve(game, backend=backend)
        assert certify(result.program(), result.outcome).primal.relative <= 1e-6
        assert result.gap.upper <= result.rounding
        assert result.welfare == pytest.approx(merged.social_welfare(plays), abs=1e-9)
        assert result.is_converged


@pytest.mark.parametrize("form", ["indicator", "aggregators"])
def test_points_of_the_program_are_the_equilibria(form):
    """Every equilibrium is a point within 1e-12; cut off, it is none, and every other one still is."""
    for seed in range(12):
        game = clash(seed)
        stable = [plays for some in all_profiles(game) for plays in some.plays[some.gap <= some.rounding]]
        program = exact_program(game, form)
        for plays in stable:
            point = point_of(program, game, plays)
            assert (plays_of(program, game, point) == plays).all()
            assert violation(program, point)[0] <= 1e-9
        for k, plays in enumerate(stable):
            excluded = np.array([plays])
            rest = [game.social_welfare(one) for j, one in enumerate(stable) if j != k]
            outcome = solve_highs(exact_program(game, form, excluded))
            if rest:
                assert outcome.objective == pytest.approx(max(rest), abs=1e-7)
            else:
                assert outcome.termination is Termination.INFEASIBLE


def test_types_cut_off_one_profile_only():
    game = congestion(6, 2, types=2).merged()
    everything = np.vstack([some.plays for some in all_profiles(game)])
    stable = np.vstack([some.plays[some.gap <= some.rounding] for some in all_profiles(game)])
    others = np.array([one for one in everything if not (stable == one).all(axis=1).any()])
    outcome = solve_highs(exact_program(game, "aggregators", others))
    assert outcome.objective == pytest.approx((stable @ game.weights).max())
    assert solve_highs(exact_program(game, "aggregators", everything)).termination is Termination.INFEASIBLE


def solve_highs(program):
    with get_backend("highs").open(program) as session:
        return session.solve()


CROWD = AggregativeGame([2], [[0.0], [1.0]], AffinePayoffs([0.0, 3 - 1e-9], [[0.0], [-1.0]]), [0.0, 1.0], count=[6])
"""At 3 in, each of them gains 1e-9 by leaving, which solvers take for nothing; at 2 nobody gains."""


@pytest.mark.parametrize("backend", able_backends(exact_program(CROWD)))
def test_a_near_equilibrium_is_cut_off(backend):
    result = ExactPureNash().solve(CROWD, backend=backend)
    assert result.is_converged
    assert result.gap.upper == 0.0
    assert result.plays.tolist() == [4, 2]
    if backend in ("highs", "gurobi"):
        assert result.state.excluded.tolist() == [[3, 3]]
        assert "1 profiles cut off" in str(result)


def test_players_one_by_one_are_cut_off_one_profile_at_a_time(tmp_path):
    """Four profiles of three in, of which each is better than the one after; resumed in the middle, the run is the same."""
    weights = [0.0, 1.0, 0.0, 1.1, 0.0, 1.2, 0.0, 1.3]
    game = AggregativeGame([2] * 4, [[0.0], [1.0]] * 4, AffinePayoffs([0.0, 3 - 1e-9] * 4, [[0.0], [-1.0]] * 4), weights)
    result = ExactPureNash().solve(game, backend="highs")
    assert (result.welfare, result.iterations) == (2.5, 5)
    assert result.history["objective"].tolist() == pytest.approx([3.6, 3.5, 3.4, 3.3, 2.5])
    with pytest.raises(NothingReached):
        solve(game, ExactPureNash(), backend="highs", limits=Limits(iterations=3), checkpoint=Checkpoints(tmp_path, seconds=0.0))
    again = solve(game, ExactPureNash(), backend="highs", checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.history.equals(result.history)
    assert again.state.excluded.tolist() == result.state.excluded.tolist()
    assert again.plays.tolist() == result.plays.tolist()


def test_a_profile_cut_off_twice_is_the_backends_fault(monkeypatch):
    monkeypatch.setattr("eqsolve.aggregative.exact_pure.rounding_of", lambda game, x: np.full(len(x), -1.0))
    monkeypatch.setattr("eqsolve.aggregative.exact_pure._answer", lambda program, backend, limits: solve_highs(FIRST))
    with pytest.raises(BackendFailure, match="was cut off"):
        ExactPureNash("indicator").solve(clash(3), backend="highs")


FIRST = exact_program(clash(3), "indicator")


def test_a_backend_that_denies_an_equilibrium_is_found_out(monkeypatch):
    nothing = solve_highs(exact_program(chase()))
    monkeypatch.setattr("eqsolve.aggregative.exact_pure._answer", lambda program, backend, limits: nothing)
    with pytest.raises(BackendFailure, match="but there is one"):
        ExactPureNash().solve(clash(3), backend="highs")


def test_what_nobody_plays_is_fixed_and_m_is_tight():
    crowd = AggregativeGame([3], [[0.0], [1.0], [0.0]], AffinePayoffs([0.0, 2.5, -9.0], [[0.0], [-1.0], [0.0]]), count=[4])
    program = exact_program(crowd)
    assert program.column_block("p").size == 3
    assert program.col_upper[:3].tolist() == [4.0, 4.0, 0.0]
    # The two that are left: staying out is wrong while fewer than 2 are in, going in is wrong above 2; M = 1.5 both ways.
    rows = program.row_block("best_reply")
    assert rows.size == 2
    assert ExactPureNash().solve(crowd).plays.tolist() == [2, 2, 0]


@pytest.mark.parametrize("form", ["indicator", "aggregators"])
def test_a_player_who_is_never_content(form):
    """Each of three actions is worse than the next one at whatever aggregator: all are ruled out, and there is no equilibrium."""
    cycle = AggregativeGame([3], [[0.0], [1.0], [2.0]], AffinePayoffs([0.0, 2.5, 4.9], [[0.0], [-2.0], [-2.0]]))
    ring = AggregativeGame([3], [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], AffinePayoffs([0.0, 0, 0], [[0.0, 0], [0, 0], [0, 0]]))
    assert found(cycle, form, "highs") == 0.0
    assert found(ring, form, "highs") == 0.0
    with pytest.raises(NoPureEquilibrium):
        ExactPureNash(form).solve(chase(), backend="highs")


def test_larger_games_than_can_be_enumerated():
    """What an integer program is for: 3^30 profiles."""
    rng = np.random.default_rng(0)
    n, d = 30, 2
    payoff = AffinePayoffs(0.3 * rng.uniform(-1, 1, 3 * n), rng.uniform(-1, 1, (3 * n, d)))
    game = AggregativeGame([3] * n, rng.uniform(-1, 1, (3 * n, d)) / n, payoff, rng.random(3 * n))
    assert count_profiles(game) == 3**30
    result = ExactPureNash().solve(game)
    assert result.outcome.backend == "highs"
    assert result.gap.upper == 0.0
    assert result.is_converged
    assert AggregativeNash(cells=12).solve(game).bound >= result.welfare - 1e-9
    assert result.certificate.holds(1e-6)


def test_games_too_large_are_refused():
    with pytest.raises(InvalidData, match=r"1,000 players and more than 20,000 aggregators(.|\n)*split='widest'"):
        ExactPureNash().solve(congestion(1000, 4, types=2))
    with pytest.raises(InvalidData, match="24,000 changes of action"):
        exact_program(random_affine(4000, 3))
    with pytest.raises(InvalidData, match="these are PolynomialPayoffs"):
        exact_program(congestion(5, 2), "indicator")
    with pytest.raises(UnknownName, match="indicators"):
        ExactPureNash("indicators")
    with pytest.raises(UnknownName, match="form"):
        exact_program(clash(0), "lazy")


def test_attainable_aggregators_are_counted_once():
    game = congestion(5, 3, types=1).merged()
    assert len(attainable(game, 1000)) == count_profiles(game) == 21
    assert len(attainable(congestion(5, 3), 1000)) == 21
    assert count_profiles(congestion(5, 3)) == 3**5
    assert attainable(congestion(5, 3), 20) is None
    still = AggregativeGame([2, 1], [[1.0], [1.0], [2.0]], flat(3))
    assert attainable(still, 5).tolist() == [[3.0]]


def test_budgets_and_interrupts():
    with pytest.raises(NothingReached, match="the run ended before an equilibrium was found"):
        ExactPureNash().solve(clash(0), limits=Limits(iterations=0))
    with pytest.raises(NothingReached, match="the run ended"):
        ExactPureNash().solve(clash(0), limits=Limits(seconds=0.0))


def test_an_interrupt_ends_the_run(monkeypatch):
    def interrupted(program, backend, limits):
        raise KeyboardInterrupt

    monkeypatch.setattr("eqsolve.aggregative.exact_pure._answer", interrupted)
    with pytest.raises(NothingReached, match="the run ended"):
        ExactPureNash().solve(clash(0))


def test_runs_are_saved_resumed_and_inspected(tmp_path):
    game = congestion(12, 3, types=2)
    result = solve(game, ExactPureNash(), checkpoint=Checkpoints(tmp_path / "points", seconds=0.0))
    back = Result.load(result.save(tmp_path / "run"))
    assert back.welfare == result.welfare
    assert back.recertified().upper == 0.0
    again = solve(game, ExactPureNash(), checkpoint=Checkpoints(tmp_path / "points", resume=True))
    assert again.history.equals(result.history)
    assert again.plays.tolist() == result.plays.tolist()
    text = str(result)
    for word in ("12 players of 2 types", "the best of all pure Nash equilibria", "MILP", "converged"):
        assert word in text
    assert result.to_json()["cut_off"] == 0
    assert ExactPureNash().select(game, "", lambda: result).kind == "MILP"
    for call in (lambda: result.program("other"), lambda: ExactPureNash().select(game, "other", lambda: result)):
        with pytest.raises(UnknownName):
            call()


def test_native_answers_only_its_own_program():
    game = clash(3)
    program = exact_program(game)
    structure = program.structure
    assert structure.refuses(program) is None
    assert "cut off" in structure.refuses(exact_program(game, excluded=np.array([game.plays(np.zeros(game.n_players))])))
    larger = exact_program(random_affine(20, 3))
    assert larger.structure.refuses(larger).startswith("there are 3,486,784,401 profiles")
    assert structure.refuses(larger) == "its bounds are not those of the game"


def test_an_objection_to_a_gap_or_to_a_worse_equilibrium():
    result = ExactPureNash().solve(clash(3))
    assert replace(result, gap=GapCertificate("NE", 1.0, 1.0, "exact")).judged().status is Status.REFUTED
    bare = replace(result, state=replace(result.state, outcome=replace(result.outcome, bound=None)))
    assert bare.judged().is_converged
    assert "larger welfare" in replace(bare, value=bare.value - 1.0).judged().reason


def test_a_market_of_firms():
    """Cournot in whole quantities: of affine payoffs, so that the program has a row per change, not per aggregator."""
    result = ExactPureNash().solve(market(8, 3), backend="highs")
    assert result.gap.upper <= result.rounding
    assert {block.name for block in result.program().columns} >= {"p", "x"}
