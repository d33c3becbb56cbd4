"""Pure Nash equilibria: by enumeration, by integer programs, and the reason where there is none."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from eqsolve.backends import Limits, Outcome, Termination, get_backend, solve_program
from eqsolve.errors import BackendFailure, BackendUnsupported, InvalidData, UnknownName
from eqsolve.normal_form import (
    TEXTBOOK,
    NormalFormGame,
    PolymatrixGame,
    congestion_game,
    matching_pennies,
    nash_gap,
    pure,
    pure_nash,
    pure_nash_mask,
    pure_nash_program,
    random_game,
    random_polymatrix,
    shapley,
    stag_hunt,
)
from eqsolve.normal_form.pure import why_none
from eqsolve.programs import Update
from tests.normal_form import oracle

USABLE = [name for name in ("native", "highs", "pulp:CBC", "gurobi", "scipy") if get_backend(name).probe().usable]
USABLE = [name for name in USABLE if "MILP" in get_backend(name).capabilities.kinds]
BEST = {
    "prisoners_dilemma": 2.0,
    "battle_of_sexes": 3.0,
    "matching_pennies": None,
    "chicken": 9.0,
    "rock_paper_scissors": None,
    "stag_hunt": 8.0,
    "shapley": None,
}


@pytest.mark.parametrize("backend", USABLE)
@pytest.mark.parametrize("name", BEST)
def test_textbook_games(name, backend):
    found = pure_nash(TEXTBOOK[name](), backend=backend)
    if BEST[name] is None:
        assert found.profile is None
        assert found.exists is False
        assert "no pure Nash equilibrium" in found.reason
        assert found.gap is None
    else:
        assert found.gap.holds(0.0)
        assert found.exists
        assert found.value == pytest.approx(BEST[name])


@pytest.mark.parametrize("seed", range(30))
def test_against_the_definition(seed):
    rng = np.random.default_rng(seed)
    shape = [(3, 3), (2, 3, 2), (2, 2, 2, 2), (4, 1, 3)][seed % 4]
    u = rng.integers(0, 4, (len(shape), *shape)).astype(float) if seed % 2 else rng.random((len(shape), *shape))
    game = NormalFormGame(u)
    expected = oracle.pure_equilibria(u)
    assert [tuple(a) for a in np.argwhere(pure_nash_mask(game))] == expected
    for backend in ("auto", "highs"):
        for objective, weights in (("welfare", game.welfare), (("player", 0), u[0])):
            for sense, pick in (("max", max), ("min", min)):
                found = pure_nash(game, objective, sense=sense, backend=backend)
                if expected:
                    assert found.gap.holds(1e-9)
                    assert found.certificate.primal.absolute <= 1e-9
                    assert found.value == pytest.approx(pick(weights[a] for a in expected), abs=1e-9)
                else:
                    assert found.exists is False


def test_the_relaxation_is_the_correlated_program():
    program = pure_nash_program(random_game([2, 3, 2]))
    assert program.kind == "MILP"
    assert int(program.integrality.sum()) == 2 + 3 + 2
    assert program.column_name(int(np.argmax(program.integrality))) == "x[0, 0]"
    with pytest.raises(BackendUnsupported, match="not those of the game"):
        solve_program(program.with_values(Update(col_upper=np.full(program.n_columns, 0.5))), "native")


def test_a_slack_lets_more_profiles_in():
    game = matching_pennies()
    assert pure_nash(game, epsilon=1.0).exists is False
    for backend in ("auto", "highs"):
        found = pure_nash(game, epsilon=2.0, backend=backend)
        assert found.exists
        assert found.gap.upper == 2.0
    assert "pure 1-equilibrium" in pure_nash(game, epsilon=1.0).reason


def test_congestion_games_always_have_one():
    for seed in range(5):
        found = pure_nash(congestion_game(4, 3, seed=seed))
        assert found.gap.holds(1e-12)


@pytest.mark.parametrize("backend", [name for name in USABLE if name not in ("native", "scipy")])
def test_polymatrix_games_against_enumeration(backend):
    for seed in range(4):
        game = random_polymatrix([2, 3, 2, 3, 2], degree=1, seed=seed)
        table = pure_nash(game.normal_form())
        for objective in ("welfare", ("player", 2)):
            found, expected = pure_nash(game, objective, backend=backend), pure_nash(game.normal_form(), objective)
            assert found.exists == table.exists
            if found.exists:
                assert found.gap.holds(1e-9)
                assert nash_gap(game.normal_form(), found.profile).holds(1e-9)
                assert found.value == pytest.approx(expected.value, abs=1e-6)


def test_a_polymatrix_game_far_beyond_enumeration():
    game = random_polymatrix([3] * 30, degree=1, seed=1)  # 2 x 10^14 profiles
    found = pure_nash(game)
    assert found.gap.holds(1e-9)
    assert found.certificate.primal.absolute <= 1e-6


def test_a_polymatrix_game_without_a_pure_equilibrium():
    A = np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = pure_nash(PolymatrixGame([2, 2, 2], {(0, 1): A, (1, 0): -A.T}, own=([0, 0], [0, 0], [1, 2])))
    assert found.exists is False
    assert "no pure Nash equilibrium, says highs" in found.reason


def test_own_payoffs_count():
    rng = np.random.default_rng(0)
    own = [rng.normal(size=m) for m in (2, 3)]
    game = PolymatrixGame([2, 3], {(0, 1): rng.normal(size=(2, 3)), (1, 0): rng.normal(size=(3, 2))}, own=own)
    table = game.normal_form()
    for a in product(range(2), range(3)):
        assert nash_gap(game, a).upper == pytest.approx(nash_gap(table, a).upper)


def test_limits_are_not_taken_for_a_proof():
    found = pure_nash(random_game([6, 6, 6, 2], seed=5), backend="highs", limits=Limits(seconds=1e-3))
    assert found.profile is None
    assert found.exists is None
    assert "none was found: the time limit" in found.reason


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: pure_nash(stag_hunt(), "max_entropy"), InvalidData, "pure profiles"),
        (lambda: pure_nash(stag_hunt(), epsilon=-1.0), InvalidData, "epsilon is -1"),
        (lambda: pure_nash(stag_hunt(), ("player", 7)), UnknownName, "no player 7"),
        (lambda: pure_nash(random_polymatrix([2, 2]), epsilon=0.5), InvalidData, "polymatrix"),
        (lambda: pure_nash(random_polymatrix([2, 2]), "max_gini"), UnknownName, "max_gini"),
        (lambda: pure_nash(shapley(), backend="cvxpy:CLARABEL"), BackendUnsupported, "MILP"),
    ],
)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_ties_are_told_by_the_payoffs_compared():
    """A large payoff elsewhere makes no gain a tie."""
    game = NormalFormGame([[[1e12, 0.5], [0.0, 0.0]], [[0.0, 0.5], [0.0, 1.0]]])
    assert pure_nash_mask(game).tolist() == [[False, True], [False, False]]
    assert pure_nash(game).gap.upper == 0.0
    rounding = NormalFormGame([[[0.1 + 0.2], [0.3]], [[0.0], [0.0]]])
    assert pure_nash_mask(rounding).all()


def test_a_profile_that_is_no_equilibrium_is_not_handed_back(monkeypatch):
    program = pure_nash_program(matching_pennies(), epsilon=2.0)
    answered = solve_program(program, "native")
    monkeypatch.setattr(pure, "solve_program", lambda *given, **more: answered)
    with pytest.raises(BackendFailure, match=r"took \[0, 0\] for an equilibrium, and there Nash gap 2"):
        pure_nash(matching_pennies(), backend="highs")


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e9, 1e12])
def test_polymatrix_games_in_any_unit(scale):
    base = random_polymatrix([2, 3, 2, 3], degree=1, seed=1)
    game = PolymatrixGame(
        base.n_actions, {key: scale * table for key, table in base.pairs.items()}, own=[np.zeros(m) for m in (2, 3, 2, 3)]
    )
    found = pure_nash(game)
    assert found.gap.upper == 0.0
    assert found.profile.tolist() == pure_nash(base.normal_form()).profile.tolist()
    assert found.outcome.objective == pytest.approx(found.value, rel=1e-6)


@pytest.mark.parametrize("epsilon", [2.0, 3.0])
def test_a_verdict_that_the_payoffs_contradict_is_an_error(epsilon):
    infeasible = Outcome(Termination.INFEASIBLE, backend="one")
    with pytest.raises(BackendFailure, match="'one' says that there is no pure equilibrium, but the payoffs have one"):
        why_none(matching_pennies(), epsilon, infeasible)
    with pytest.raises(BackendFailure, match="did not settle it: the solver failed"):
        why_none(matching_pennies(), 0.0, Outcome(Termination.FAILED, backend="one"))
