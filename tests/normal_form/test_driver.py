"""Finite games through ``eqsolve.solve``: certificate first, value second; budgets, checkpoints, files and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import eqsolve
from eqsolve.backends import Limits, Outcome, Termination, get_backend
from eqsolve.certificates import certify
from eqsolve.driver import Checkpoints, InvalidCheckpoint, NothingReached, OutOfTime, Result, Run, Status
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import BackendFailure, InvalidData, InvalidGame, UnknownName
from eqsolve.normal_form import (
    TEXTBOOK,
    CorrelatedSelection,
    FiniteMarkovGame,
    Lottery,
    MarkovLottery,
    MarkovSelection,
    MixedProfile,
    NormalFormGame,
    PureNashSelection,
    ZeroSum,
    chicken,
    correlated,
    correlated_equilibrium,
    markov_algorithm,
    markov_correlated,
    matching_pennies,
    policy_values,
    prisoners_dilemma,
    random_game,
    random_markov_game,
    random_polymatrix,
    rock_paper_scissors,
    shapley,
    stag_hunt,
)
from eqsolve.normal_form.zero_sum import strategies_of
from tests.normal_form import oracle


def usable(*names):
    return [name for name in names if get_backend(name).probe().usable]


LP = ["auto", *usable("native", "highs", "scipy", "cvxpy:CLARABEL", "pulp:CBC", "gurobi")]
MILP = ["auto", *usable("native", "highs", "pulp:CBC", "gurobi")]
# Best welfare over correlated equilibria, and over pure equilibria; see test_correlated.py and test_pure.py.
WELFARE = {
    "prisoners_dilemma": (2.0, 2.0),
    "battle_of_sexes": (3.0, 3.0),
    "matching_pennies": (0.0, None),
    "chicken": (10.5, 9.0),
    "rock_paper_scissors": (0.0, None),
    "stag_hunt": (8.0, 8.0),
    "shapley": (1.0, None),
}


@pytest.mark.parametrize("backend", LP)
@pytest.mark.parametrize("name", WELFARE)
def test_correlated_selection_on_textbook_games(name, backend):
    game = TEXTBOOK[name]()
    for concept, gap in (("CE", oracle.ce_gap), ("CCE", oracle.cce_gap)):
        result = eqsolve.solve(game, CorrelatedSelection(concept), backend=backend)
        assert result.is_converged
        assert result.gap.concept == concept
        assert gap(game.payoffs, result.policy.distribution) <= 1e-6
        assert certify(result.program(), result.outcome).holds(1e-6)
        assert result.value == pytest.approx(WELFARE[name][0], abs=1e-6)


@pytest.mark.parametrize("backend", MILP)
@pytest.mark.parametrize("name", WELFARE)
def test_pure_selection_on_textbook_games(name, backend):
    game, best = TEXTBOOK[name](), WELFARE[name][1]
    if best is None:
        with pytest.raises(NothingReached, match=r"there is no pure Nash equilibrium: at each of the \d profiles somebody gains"):
            eqsolve.solve(game, PureNashSelection(), backend=backend)
        return
    result = eqsolve.solve(game, PureNashSelection(), backend=backend)
    assert result.is_converged or "gives no bound of its own" in result.reason  # CBC: an optimum that nothing proves
    assert result.gap.holds(0.0)
    assert result.policy.is_pure
    assert tuple(result.policy.actions) in oracle.pure_equilibria(game.payoffs)
    assert result.value == pytest.approx(best)


@pytest.mark.parametrize("backend", LP)
def test_zero_sum_on_textbook_games(backend):
    for game, row in ((matching_pennies(), np.full(2, 1 / 2)), (rock_paper_scissors(), np.full(3, 1 / 3))):
        result = eqsolve.solve(game, ZeroSum(), backend=backend)
        assert result.is_converged
        assert oracle.nash_gap(game.payoffs, result.policy.strategies) <= 1e-6
        assert result.value == pytest.approx(0.0, abs=1e-12)
        for strategy in result.policy.strategies:
            assert strategy == pytest.approx(row, abs=1e-6)
        assert not result.policy.is_pure
    assert not MixedProfile((np.array([0.9, 0.1]), np.array([0.0, 1.0]))).is_pure


def test_the_default_is_the_welfare_best_correlated_equilibrium():
    result = eqsolve.solve(chicken())
    assert result.algorithm == CorrelatedSelection()
    assert result.value == pytest.approx(10.5)
    assert "2 players, 2 actions, 4 profiles" in str(result)
    assert "CE gap         0 " in str(result)
    assert eqsolve.solve(random_polymatrix([2, 2], seed=1)).algorithm == PureNashSelection()


def test_sizes_in_words():
    assert "1 player, 1 action, 1 profile " in str(eqsolve.solve(random_game([1])))
    assert "2 players, 2 to 3 actions, 2 payoff tables " in str(eqsolve.solve(random_polymatrix([2, 3], seed=1)))
    assert "2 players, 2 actions, 1 state, 3 steps " in str(eqsolve.solve(dilemma(3)))


def test_objectives_and_senses():
    game = chicken()
    for who in (0, "row"):
        assert eqsolve.solve(game, CorrelatedSelection(objective=("player", who))).policy.distribution[1, 0] == pytest.approx(1.0)
    assert CorrelatedSelection(objective=["player", 1]).objective == ("player", 1)  # as files hold it
    worst = eqsolve.solve(game, CorrelatedSelection("CCE", sense="min"))
    assert worst.value == pytest.approx(correlated_equilibrium(game, "CCE", sense="min").value, abs=1e-9)
    pure = eqsolve.solve(game, PureNashSelection(("player", "row"), sense="min"))
    assert pure.policy.actions.tolist() == [0, 1]
    assert eqsolve.solve(stag_hunt(), PureNashSelection(sense="min")).policy.actions.tolist() == [1, 1]


def test_a_slack_is_allowed_and_not_exceeded():
    game = random_game([3, 4, 2], seed=11)
    result = eqsolve.solve(game, CorrelatedSelection(sense="min", epsilon=0.05))
    assert result.is_converged
    assert 0.01 < result.gap.upper <= 0.05 + 1e-9
    pure = eqsolve.solve(matching_pennies(), PureNashSelection(epsilon=2.0))
    assert pure.is_converged
    assert pure.gap.upper == 2.0
    with pytest.raises(NothingReached, match="no pure 1-equilibrium"):
        eqsolve.solve(matching_pennies(), PureNashSelection(epsilon=1.0))


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e-3, 1e3, 1e9, 1e12])
def test_verdicts_do_not_depend_on_the_units(scale):
    game = NormalFormGame(chicken().payoffs * scale)
    for objective, best in (("welfare", 10.5 * scale), ("max_entropy", 1.353706), ("max_gini", 25 / 34)):
        result = eqsolve.solve(game, CorrelatedSelection(objective=objective))
        assert result.is_converged
        assert result.gap.holds(1e-6 * scale)
        found = result.value if objective == "welfare" else correlated_equilibrium(game, objective=objective).value
        assert found == pytest.approx(best, rel=1e-5)
    for backend in ("auto", "highs"):
        assert eqsolve.solve(game, PureNashSelection(), backend=backend).gap.holds(0.0)
        with pytest.raises(NothingReached, match="at each of the 9 profiles"):
            eqsolve.solve(NormalFormGame(shapley().payoffs * scale), PureNashSelection(), backend=backend)
    pairs = random_polymatrix([2, 3, 2, 3], degree=1)
    many = type(pairs)(pairs.n_actions, {key: table * scale for key, table in pairs.pairs.items()})
    found = eqsolve.solve(many)
    assert found.gap.holds(0.0)
    assert found.policy.actions.tolist() == [1, 2, 0, 0]


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_a_wrong_answer_is_refuted_whatever_the_units(size):
    table = NormalFormGame(prisoners_dilemma().payoffs * size)
    polymatrix = random_polymatrix([2, 3, 2, 3], degree=1)
    polymatrix = type(polymatrix)(polymatrix.n_actions, {key: size * one for key, one in polymatrix.pairs.items()})
    for game in (table, polymatrix):
        result = eqsolve.solve(game, PureNashSelection())
        counts = game.shape if isinstance(game, NormalFormGame) else game.n_actions.tolist()
        wrong = MixedProfile(tuple(np.eye(m)[0] for m in counts))
        gap = result.system.certify(game, wrong)
        assert gap.upper > 0.1 * size
        forged = Result(
            game, result.algorithm, wrong, 0.0, gap, (), result.history, Status.CONVERGED, "", result.state, result.provenance
        )
        assert forged.judged().status is Status.REFUTED
        assert "is above" in forged.judged().reason
        assert result.judged().status is Status.CONVERGED


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_wrong_strategies_are_refuted_whatever_the_units(size):
    """An answer of another game: the certificate of the program may hold, the gap does not."""
    game = NormalFormGame(rock_paper_scissors().payoffs * size)
    markov = FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 1)), size * prisoners_dilemma().payoffs[:, None], 3)
    cases = (
        (game, ZeroSum(), MixedProfile((np.eye(3)[0], np.eye(3)[1]))),
        (game, CorrelatedSelection(), Lottery(np.eye(9)[0].reshape(3, 3), "CE")),
        (markov, MarkovSelection(), MarkovLottery(np.tile(np.eye(4)[0], (3, 1)), "CCE")),
    )
    for one, algorithm, wrong in cases:
        right = eqsolve.solve(one, algorithm)
        assert right.is_converged
        gap = right.system.certify(one, wrong)
        facts = {name: getattr(right, name) for name in ("history", "status", "reason", "state", "provenance")}
        forged = type(right)(one, algorithm, policy=wrong, value=0.0, gap=gap, bounds=(), **facts)
        assert forged.judged().status is Status.REFUTED
        assert "is above" in forged.judged().reason


def test_a_program_whose_certificate_fails_refutes_the_run():
    right = eqsolve.solve(chicken())
    other = eqsolve.solve(chicken(), CorrelatedSelection(sense="min"))
    facts = {name: getattr(right, name) for name in ("policy", "value", "gap", "history", "status", "reason", "provenance")}
    forged = type(right)(chicken(), CorrelatedSelection(), bounds=(), state=other.state, **facts)
    assert "certificate of the program fails" in forged.judged().reason


def test_a_mixed_profile_of_a_polymatrix_game_is_certified_as_it_is():
    game = random_polymatrix([2, 3, 2], seed=3)
    rng = np.random.default_rng(0)
    mixed = MixedProfile(tuple(rng.dirichlet(np.ones(m)) for m in (2, 3, 2)))
    system = eqsolve.solve(game).system
    table = game.normal_form()
    assert system.certify(game, mixed).upper == pytest.approx(oracle.nash_gap(table.payoffs, mixed.strategies), abs=1e-12)
    assert system.value(game, mixed) == pytest.approx(table.expected(table.product(mixed.strategies)).sum(), abs=1e-12)


def test_games_that_are_not_constant_sum_are_refused():
    with pytest.raises(InvalidGame, match=r"sum to 0 at .dare, dare. and to 12 at .yield, yield."):
        eqsolve.solve(chicken(), ZeroSum())
    with pytest.raises(InvalidGame, match="payoffs sum to"):
        eqsolve.solve(NormalFormGame(1e-12 * chicken().payoffs), ZeroSum())
    with pytest.raises(InvalidGame, match="3 players"):
        eqsolve.solve(random_game([2, 2, 2]), ZeroSum())


def test_no_multipliers_no_strategies():
    outcome = Outcome(Termination.OPTIMAL, x=np.array([0.5, 0.5, 0.0]), backend="one without duals")
    with pytest.raises(BackendFailure, match="'one without duals' returned no strategies"):
        strategies_of((2, 2), outcome)


def test_entropy_falls_back_on_a_first_order_method(monkeypatch):
    real, asked = correlated.solve_program, []

    def fails_on_cones(program, backend, **more):
        asked.append(backend)
        if program.kind == "EXP" and backend == "auto":
            return Outcome(Termination.FAILED, backend="cvxpy:CLARABEL")
        return real(program, backend, **more)

    monkeypatch.setattr(correlated, "solve_program", fails_on_cones)
    result = eqsolve.solve(chicken(), CorrelatedSelection(objective="max_entropy"))
    assert asked.count("cvxpy:SCS") == 1
    assert result.outcome.backend == "cvxpy:SCS"
    assert result.policy.distribution == pytest.approx(
        correlated_equilibrium(chicken(), "CE", "max_entropy").distribution, abs=1e-3
    )
    # A backend that was asked for by name is not replaced.
    monkeypatch.setattr(correlated, "solve_program", lambda program, backend, **more: Outcome(Termination.FAILED, backend=backend))
    with pytest.raises(NothingReached, match="no answer"):
        eqsolve.solve(chicken(), CorrelatedSelection(objective="max_entropy"), backend="cvxpy:CLARABEL")


def test_a_support_that_was_not_settled_restricts_nothing(monkeypatch):
    real = correlated.solve_program

    def unsettled(program, backend, **more):
        if "support" in program.name:
            return Outcome(Termination.ITERATION_LIMIT, x=np.zeros(program.n_columns), backend="highs")
        return real(program, backend, **more)

    monkeypatch.setattr(correlated, "solve_program", unsettled)
    program = correlated.equilibrium_program(chicken(), "CE", "max_entropy")
    assert program.column_block("surprise").size == 4


@pytest.mark.parametrize(
    ("game", "algorithm", "backend"),
    [
        (chicken(), CorrelatedSelection(), "auto"),
        (chicken(), CorrelatedSelection("CCE", ("player", "column"), epsilon=0.1), "highs"),
        (rock_paper_scissors(), ZeroSum(), "auto"),
        (random_polymatrix([2, 3, 2], seed=1), PureNashSelection(("player", 1)), "highs"),
        (random_markov_game(3, [2, 2], 2, seed=1), MarkovSelection("CE"), "auto"),
    ],
    ids=["CE", "CCE", "zero-sum", "polymatrix", "markov"],
)
def test_saved_loaded_and_certified_again(game, algorithm, backend, tmp_path):
    result = eqsolve.solve(game, algorithm, backend=backend)
    again = Result.load(result.save(tmp_path / "run"))
    assert type(again) is type(result)
    assert again.algorithm == algorithm
    assert to_bytes(again.policy) == to_bytes(result.policy)
    assert again.gap == result.gap == again.recertified()
    assert again.judged().is_converged
    assert again.program().n_columns == result.program().n_columns
    assert again.value == result.value


def dilemma(rounds):
    return FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 1)), prisoners_dilemma().payoffs[:, None], rounds)


@pytest.mark.parametrize("backend", LP)
def test_markov_selection_on_known_games(backend):
    result = eqsolve.solve(dilemma(5), MarkovSelection("CE"), backend=backend)
    assert result.is_converged
    assert result.gap.holds(1e-5)
    assert result.value == pytest.approx(10.0, abs=1e-5)  # 1 each, five times
    assert result.iterations == 5
    once = FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 1)), chicken().payoffs[:, None], 1)
    assert eqsolve.solve(once, MarkovSelection("CE"), backend=backend).value == pytest.approx(10.5, abs=1e-6)
    least = eqsolve.solve(once, MarkovSelection("CE", ("player", 0), sense="min"), backend=backend)
    assert least.policy.policy == pytest.approx(np.array([[0.0, 1.0, 0.0, 0.0]]), abs=1e-6)


def test_markov_selection_is_backward_induction():
    game = random_markov_game(4, [3, 2, 2], 5, seed=3)
    result, direct = eqsolve.solve(game), markov_correlated(game)
    assert result.policy.policy.tobytes() == direct.policy.tobytes()
    assert result.state.values.tobytes() == direct.values.tobytes()
    assert result.gap == direct.gap
    assert result.value == pytest.approx(direct.values[0].sum(axis=0).mean(), abs=1e-12)
    assert [record["step"] for record in result.history] == [4, 3, 2, 1, 0]
    ended = FiniteMarkovGame(game.n_actions, game.kernel(0), game.reward, 5, terminal=np.arange(12.0).reshape(3, 4))
    assert eqsolve.solve(ended).state.values.tobytes() == markov_correlated(ended).values.tobytes()
    assert not np.allclose(markov_correlated(ended).values[0], direct.values[0])
    started = FiniteMarkovGame(game.n_actions, game.kernel(0), game.reward, 5, initial=[0, 0, 1, 0])
    assert eqsolve.solve(started).value == pytest.approx(direct.values[0, :, 2].sum(), abs=1e-12)
    program = result.program(4, 2)
    assert program.note.startswith('step 4, "2"')
    assert result.program().note.startswith('step 0, "0"')
    for place, match in (((5, 0), "step is 5"), ((0, 4), "state is 4"), ((-1, 0), "step is -1"), (("x", 0), "step is 'x'")):
        with pytest.raises(InvalidData, match=match):
            result.program(*place)


def test_a_budget_that_ends_markov_selection_early():
    game = random_markov_game(3, [2, 3], 4, seed=5)
    cut = eqsolve.solve(game, limits=Limits(iterations=2))
    assert cut.status is Status.OUT_OF_ITERATIONS
    assert cut.iterations == 2
    whole = markov_correlated(game)
    assert cut.policy.policy[2:].tobytes() == whole.policy[2:].tobytes()
    assert cut.policy.policy[:2] == pytest.approx(np.full((2, game.n_pairs), 1 / 6))
    assert cut.gap.upper > 1e-3  # uniform play is no equilibrium, and the certificate says so
    assert cut.gap == cut.recertified()
    assert cut.value == pytest.approx(policy_values(game, cut.policy.policy)[0].sum(axis=0).mean())
    assert cut.program(2, 1).note.startswith('step 2, "1"')
    with pytest.raises(InvalidData, match="did not reach step 1"):
        cut.program(1, 0)


def test_the_clock_is_looked_at_within_a_step(monkeypatch):
    monkeypatch.setattr(markov_algorithm, "BATCH", 1)
    solved = []
    real = markov_algorithm.solve_state

    def slowly(s, **more):
        solved.append(s)
        return real(s, **more)

    monkeypatch.setattr(markov_algorithm, "solve_state", slowly)
    game = random_markov_game(50, [2, 2], 1, seed=0)
    looks = iter([Limits(seconds=1.0)] * 3)

    class Clock(Run):
        __slots__ = ()

        def remaining(self):
            left = next(looks, None)
            if left is None:
                raise OutOfTime
            return left

    algorithm, run = MarkovSelection(), Clock()
    with pytest.raises(OutOfTime):
        algorithm.step(game, algorithm.init(game, run), run)
    assert solved == [0, 1, 2]


def test_a_resumed_run_is_the_run_that_was_never_cut(tmp_path):
    game = random_markov_game(4, [2, 3], 6, seed=2)
    whole = eqsolve.solve(game, MarkovSelection("CE"))
    kept = Checkpoints(tmp_path, seconds=0.0)
    for done in (1, 4):
        cut = eqsolve.solve(game, MarkovSelection("CE"), limits=Limits(iterations=done), checkpoint=kept)
        assert cut.status is Status.OUT_OF_ITERATIONS
        assert cut.iterations == done
        kept = Checkpoints(tmp_path, seconds=0.0, resume=True)
    resumed = eqsolve.solve(game, MarkovSelection("CE"), checkpoint=kept)
    assert any("resumed" in note for note in resumed.provenance.notes)
    assert to_bytes(resumed.policy) == to_bytes(whole.policy)
    assert to_bytes(resumed.state) == to_bytes(whole.state)
    assert resumed.gap == whole.gap
    assert [dict(one) for one in resumed.history] == [dict(one) for one in whole.history]
    with pytest.raises(InvalidCheckpoint):
        eqsolve.solve(game, MarkovSelection("CCE"), checkpoint=kept)


def test_an_answered_program_is_not_asked_again(tmp_path):
    first = eqsolve.solve(chicken(), checkpoint=Checkpoints(tmp_path, seconds=0.0))
    again = eqsolve.solve(chicken(), checkpoint=Checkpoints(tmp_path, seconds=0.0, resume=True))
    assert to_bytes(again.policy) == to_bytes(first.policy)
    assert again.gap == first.gap


def test_two_jobs_give_what_one_gives():
    game = random_markov_game(5, [2, 2, 2], 2, seed=4)
    one, two = (eqsolve.solve(game, n_jobs=n) for n in (1, 2))
    assert to_bytes(one.policy) == to_bytes(two.policy)
    assert one.gap == two.gap


def test_a_budget_of_no_steps_reaches_nothing():
    with pytest.raises(NothingReached, match="before its program was answered"):
        eqsolve.solve(chicken(), limits=Limits(iterations=0))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: CorrelatedSelection("NE"), UnknownName, "concept 'NE'"),
        (lambda: CorrelatedSelection(None), UnknownName, "concept 'None'"),
        (lambda: CorrelatedSelection(objective="wellfare"), UnknownName, "welfare"),
        (lambda: CorrelatedSelection(objective=("player", -1)), InvalidData, "player of the objective is -1"),
        (lambda: CorrelatedSelection(objective=("player", True)), InvalidData, "player of the objective is True"),
        (lambda: CorrelatedSelection(objective=np.ones(4)), InvalidData, "objective is"),
        (lambda: CorrelatedSelection(sense="maximise"), InvalidData, "sense is 'maximise'"),
        (lambda: CorrelatedSelection(epsilon=-0.1), InvalidData, "epsilon is -0.1"),
        (lambda: CorrelatedSelection(epsilon=np.nan), InvalidData, "epsilon is nan"),
        (lambda: PureNashSelection(sense=None), InvalidData, "sense is None"),
        (lambda: PureNashSelection(epsilon=None), InvalidData, "epsilon is None"),
        (lambda: PureNashSelection(objective=5), InvalidData, "objective is 5"),
        (lambda: MarkovSelection("NE"), UnknownName, "concept 'NE'"),
        (lambda: MarkovSelection(sense="up"), InvalidData, "sense is 'up'"),
        (lambda: eqsolve.solve(chicken(), CorrelatedSelection(objective=("player", 2))), UnknownName, "no player 2"),
        (lambda: eqsolve.solve(chicken(), CorrelatedSelection(objective=("player", "rwo"))), UnknownName, "row"),
        (lambda: eqsolve.solve(chicken(), CorrelatedSelection(objective="max_gini", sense="min")), InvalidData, "maximised"),
        (lambda: eqsolve.solve(chicken(), PureNashSelection("max_entropy")), InvalidData, "pure profiles"),
        (lambda: eqsolve.solve(random_polymatrix([2, 2]), PureNashSelection("max_gini")), UnknownName, "max_gini"),
        (lambda: eqsolve.solve(random_polymatrix([2, 2]), PureNashSelection(("player", 2))), InvalidData, "is 2, more than 1"),
        (lambda: eqsolve.solve(chicken(), MarkovSelection()), InvalidData, "does not solve normal_form games"),
        (lambda: eqsolve.solve(dilemma(2), ZeroSum()), InvalidData, "does not solve markov_game games"),
        (lambda: eqsolve.solve(chicken()).program("stage"), UnknownName, "unknown program 'stage'"),
        (lambda: Lottery([[0.5, np.nan]], "CE"), InvalidData, r"distribution\[0, 1\] is nan"),
        (lambda: MixedProfile((np.ones((2, 2)),)), InvalidData, r"strategies\[0\] has shape 2 x 2"),
    ],
)
def test_bad_parameters(make, error, match):
    with pytest.raises(error, match=match):
        make()
