"""Aggregative backward induction as it is run: merged players, checkpoints, several processes, backends, programs, files."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from eqsolve.aggregative import AffinePayoffs, NoFeasibleCell
from eqsolve.aggregative.markov import (
    AggreBI,
    AggregativeMarkovGame,
    ConstantTransitions,
    MarkovProfile,
    MixtureTransitions,
    StateWise,
    congestion_markov,
    random_markov,
)
from eqsolve.aggregative.markov.certificate import nash_gap, welfare
from eqsolve.backends import Limits, solve_program
from eqsolve.certificates import certify
from eqsolve.driver import Checkpoints, NothingReached, Result, Status, solve
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData, UnknownName
from tests.aggregative.markov.oracle import tiny_game
from tests.backends.usable import able_backends

GAME = random_markov(30, 3, 2, 3, 4, types=6, seed=5)
ALGORITHM = AggreBI(cells=6)


def apart(game):
    """The same game player by player, every action under a name of its own so that no two players can be merged."""
    columns = np.concatenate([np.arange(game.offsets[t], game.offsets[t + 1]) for t in game.player_types])
    rewards = [[game.reward(h, s).take(columns) for s in range(game.n_states)] for h in range(game.horizon)]
    names = tuple(f"action {k}" for k in range(len(columns)))
    return AggregativeMarkovGame(
        game.horizon,
        game.n_actions[game.player_types],
        game.contribution[:, columns],
        rewards,
        game.transition,
        game.initial,
        game.weights[:, :, columns],
        actions=names,
    )


def unnamed(game):
    """The same with the names taken away, so that equal players are found."""
    other = apart(game)
    return AggregativeMarkovGame(
        other.horizon, other.n_actions, other.contribution, other.rewards, other.transition, other.initial, other.weights
    )


def test_a_game_given_player_by_player_is_the_game_of_types():
    by_type, by_player = ALGORITHM.solve(GAME), ALGORITHM.solve(unnamed(GAME))
    assert by_player.game.n_types == 30
    assert by_player.game.merged().n_types == 6
    assert np.array_equal(by_type.actions, by_player.actions)
    assert by_player.gap.upper == pytest.approx(by_type.gap.upper, abs=1e-12)
    assert by_player.welfare == pytest.approx(by_type.welfare, abs=1e-12)
    assert by_player.bound == pytest.approx(by_type.bound, abs=1e-12)


def test_players_who_cannot_be_merged_earn_the_same_with_the_same_profile():
    result, alone = ALGORITHM.solve(GAME), apart(GAME)
    assert alone.merged() is alone
    assert nash_gap(alone, result.policy).upper == pytest.approx(result.gap.upper, abs=1e-12)
    assert welfare(alone, result.policy) == pytest.approx(result.welfare, abs=1e-11)
    # The programs of the two games have the same optima; their vertices may differ, and so may what rounding makes of them.
    other = ALGORITHM.solve(alone)
    assert other.state.of("upper")[-1] == pytest.approx(result.state.of("upper")[-1], abs=1e-9)
    assert other.gap.upper <= other.bounds[0].value


def test_equal_players_stay_merged_while_they_are_worth_the_same():
    result = ALGORITHM.solve(GAME)
    classes = result.history["classes"]
    assert classes[0] == 6
    assert (classes >= 6).all()
    assert (classes < 30).any()


@pytest.mark.parametrize(
    "algorithm", [ALGORITHM, AggreBI(variant="paper", cells=4), StateWise(cells=6)], ids=["bi", "paper", "state-wise"]
)
def test_a_resumed_run_is_the_uninterrupted_one(algorithm, tmp_path):
    whole = solve(GAME, algorithm, seed=3)
    for cut in range(1, GAME.horizon):
        asked = Checkpoints(tmp_path, seconds=0.0, resume=cut > 1)
        with pytest.raises(NothingReached, match=f"{cut} of 4 steps done, from the last one backwards"):
            solve(GAME, algorithm, seed=3, checkpoint=asked, limits=Limits(iterations=cut))
    again = solve(GAME, algorithm, seed=3, checkpoint=Checkpoints(tmp_path, resume=True))
    assert any("resumed" in note and "iteration 3" in note for note in again.provenance.notes)
    assert again.history.equals(whole.history)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert to_bytes(again.state) == to_bytes(whole.state)
    assert (again.gap, again.bounds, again.value, again.status) == (whole.gap, whole.bounds, whole.value, whole.status)


def test_several_processes_give_the_same_bytes():
    one, two = (solve(GAME, AggreBI(variant="paper", cells=4), seed=1, n_jobs=jobs) for jobs in (1, 2))
    assert to_bytes(two.policy) == to_bytes(one.policy)
    assert to_bytes(two.state) == to_bytes(one.state)
    assert two.history.equals(one.history)


def test_the_same_seed_gives_the_same_samples_and_another_others():
    algorithm = AggreBI(variant="paper", cells=4)
    first, again, other = (solve(GAME, algorithm, seed=seed) for seed in (0, 0, 1))
    assert to_bytes(first.policy) == to_bytes(again.policy)
    assert to_bytes(first.policy) != to_bytes(other.policy)


@pytest.mark.parametrize("limits", [Limits(seconds=0.0), Limits(iterations=0)])
def test_a_budget_that_ends_before_the_first_step_reaches_nothing(limits):
    with pytest.raises(NothingReached, match="0 of 4 steps done"):
        solve(GAME, ALGORITHM, limits=limits)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_reaches_nothing_and_says_how_far_it_came(times, tmp_path):
    """The first lets the step end; the second drops it. The checkpoint has the steps that were done."""

    def press(iteration, record):
        if iteration == 1:
            os.kill(os.getpid(), signal.SIGINT)
        if iteration == 1 and times == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(NothingReached, match="2 of 4 steps done") as trouble:
        solve(GAME, ALGORITHM, progress=press, checkpoint=Checkpoints(tmp_path, seconds=0.0))
    assert "checkpoint to resume from" in trouble.value.remedy
    again = solve(GAME, ALGORITHM, checkpoint=Checkpoints(tmp_path, resume=True))
    assert to_bytes(again.policy) == to_bytes(solve(GAME, ALGORITHM).policy)


def test_the_paper_variant_samples_what_the_corrected_one_rounds():
    """With indifferent players an interior optimum mixes everybody; sampling moves the aggregator, rounding hardly does."""
    n = 40
    payoff = AffinePayoffs(np.tile([0.0, 0.0], n), np.tile([[-1.0], [1.0]], (n, 1)))
    game = AggregativeMarkovGame(
        2,
        [2] * n,
        np.tile([[0.0], [1.0 / n]], (n, 1)),
        payoff,
        ConstantTransitions(np.eye(2)),
        [0.5, 0.5],
        welfare=np.tile([0.0, 1.0], n),
    )
    printed, corrected = AggreBI(variant="paper", cells=20).solve(game), AggreBI(cells=20).solve(game)
    assert printed.is_converged
    assert "sampled" not in str(corrected)
    assert printed.state.of("tolerance").min() > corrected.state.of("tolerance").max()
    assert printed.gap.upper <= printed.bounds[0].value
    assert corrected.gap.upper <= corrected.bounds[0].value < printed.bounds[0].value


TINY = tiny_game(12).game


@pytest.mark.parametrize(
    "backend", able_backends(ALGORITHM.family(TINY, 0, 0, np.zeros((TINY.n_players, TINY.n_states)), np.zeros(TINY.n_states)).base)
)
def test_every_backend_plans(backend):
    result = solve(TINY, AggreBI(cells=4), backend=backend)
    assert result.is_converged
    assert result.gap.upper <= result.bounds[0].value + 1e-9
    assert (result.state.of("excess") <= TINY.n_coordinates).all()
    last = solve(TINY, AggreBI(cells=4)).state.of("upper")[-1]
    assert result.state.of("upper")[-1] == pytest.approx(last, abs=1e-5)


def test_a_tolerance_below_what_exists_says_which_preset_would_do():
    """Matching pennies: no pure equilibrium, and no cell without a tolerance."""
    payoff = AffinePayoffs([0.0, 1.0, 1.0, 0.0], [[0.0, 2.0], [0.0, -2.0], [-2.0, 0.0], [2.0, 0.0]])
    g = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    game = AggregativeMarkovGame(2, [2, 2], g, payoff, ConstantTransitions(np.eye(2)), [1.0, 0.0], states=["calm", "storm"])
    with pytest.raises(NoFeasibleCell, match="step 1, state calm: no cell of 16") as trouble:
        AggreBI(0.0, cells=4).solve(game)
    assert "preset 'existence'" in trouble.value.remedy
    assert AggreBI("existence", cells=4).solve(game).is_converged


def test_a_large_number_as_tolerance_is_taken_as_it_is():
    result = AggreBI(10.0, cells=3).solve(random_markov(10, 2, 1, 2, 2, seed=1))
    assert result.state.of("tolerance") == pytest.approx(np.full((2, 2), 10.0))
    assert result.gap.upper <= result.bounds[0].value
    assert result.bounds[0].terms["eta"] == pytest.approx(20.0)
    assert [bound.value for bound in result.bounds[1:]] == [None] * 3
    assert "exceeds the paper's" in result.bounds[1].failed[0]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"tolerance": "optimal"}, UnknownName, "unknown tolerance 'optimal'"),
        ({"tolerance": -1.0}, InvalidData, "tolerance is -1"),
        ({"zeta": -1.0}, InvalidData, "zeta is -1"),
        ({"tolerance": "existence", "zeta": 0.1}, InvalidData, "zeta is 0.1 with tolerance 'existence'"),
        ({"cells": 0}, InvalidData, "cells is 0"),
        ({"cells": (3, 0)}, InvalidData, r"cells\[1\] is 0"),
        ({"half_width": "wide"}, InvalidData, "half_width is 'wide'"),
        ({"rounding": "up"}, InvalidData, "rounding is 'up'"),
        ({"variant": "papers"}, InvalidData, "variant is 'papers'"),
        ({"variant": "paper", "tolerance": 0.1}, InvalidData, "variant 'paper' has the tolerance 'paper', not 0.1"),
    ],
)
@pytest.mark.parametrize("algorithm", [AggreBI, StateWise])
def test_parameters_are_checked_where_they_are_given(algorithm, parameters, error, message):
    with pytest.raises(error, match=message):
        algorithm(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cells": 3, "half_width": 0.1}, "both cells and half_width"),
        ({"cells": (3, 3)}, "cells has shape 2, expected 1"),
        ({"half_width": -1.0}, "half_width is -1"),
    ],
)
def test_a_grid_that_does_not_fit_the_game_is_refused(parameters, message):
    with pytest.raises(InvalidData, match=message):
        AggreBI(**parameters).solve(random_markov(4, 2, 1, 2, 2))


def test_programs_of_the_run_are_those_that_were_solved():
    result = ALGORITHM.solve(GAME)
    chosen = result.program("stage", 1, 2)
    objective = result.state.of("objective")[1, 2]
    outcome = solve_program(chosen, "highs")
    assert certify(chosen, outcome).holds(1e-6)
    assert outcome.objective == pytest.approx(objective, abs=1e-6)
    assert result.program() is not None
    assert str(result.program("stage", 0, int(np.argmax(GAME.initial)))) == str(result.program())
    other = result.program("stage", 1, 2, "cell", 0)
    assert "cell 0 of 36" in str(other)
    assert str(ALGORITHM.select(GAME, "stage:1:2:cell:0", lambda: result)) == str(other)


@pytest.mark.parametrize(
    ("which", "error", "message"),
    [
        (("best",), UnknownName, "unknown program 'best'"),
        (("stage", 1), UnknownName, "unknown program 'stage:1'"),
        (("stage", 1, 2, "box", 3), UnknownName, "unknown program 'stage:1:2:box:3'"),
        (("stage", 4, 0), InvalidData, "there is no step 4; the game has 4"),
        (("stage", 0, 3), InvalidData, "there is no state 3; the game has 3"),
        (("stage", 0, "calm"), InvalidData, "state is 'calm', not a whole number"),
        (("stage", 0, 0, "cell", 36), InvalidData, "there is no cell 36 in a grid of 36 cells"),
        (("stage", 0, 0, "cell", -1), InvalidData, "cell is -1"),
    ],
)
def test_programs_that_do_not_exist(which, error, message, solved):
    with pytest.raises(error, match=message):
        solved.program(*which)


@pytest.fixture(scope="module")
def solved():
    return ALGORITHM.solve(GAME)


def test_a_state_can_be_named():
    game = congestion_markov(20, 2, 2, 2, types=3)
    result = AggreBI(cells=4).solve(game)
    assert str(result.program("stage", 1, "wear 1")) == str(result.program("stage", 1, 1))


def test_a_saved_run_is_read_back_and_judged_again(solved, tmp_path):
    back = Result.load(solved.save(tmp_path))
    assert to_bytes(back.policy) == to_bytes(solved.policy)
    assert (back.gap, back.bounds, back.value, back.status) == (solved.gap, solved.bounds, solved.value, solved.status)
    assert back.recertified() == solved.gap
    assert back.bound == solved.bound
    assert str(back.program("stage", 1, 2)) == str(solved.program("stage", 1, 2))
    rows = (tmp_path / "actions.csv").read_text().splitlines()
    assert rows[0] == "step,state,type,action,players"
    assert sum(int(row.split(",")[-1]) for row in rows[1:]) == 4 * 3 * 30


def test_what_is_printed(solved):
    text = str(solved)
    assert "30 players of 6 types, 3 actions, 2 coordinates, 3 states, 4 steps" in text
    assert (
        f"at most {solved.bound:,.6g} over profiles that play pure Nash equilibria of the stage games with this continuation"
        in text
    )
    assert "vertex rounding" in text
    assert solved.details()["value_bound"] == solved.bound
    assert solved.status is Status.CONVERGED


def test_where_the_profile_leads(solved):
    visits, x = solved.visits(), solved.aggregators
    assert visits[0].tolist() == GAME.initial.tolist()
    assert visits.sum(axis=1) == pytest.approx(np.ones(4))
    for h in range(3):
        ahead = sum(visits[h, s] * GAME.transition.at(h, s, x[h, s]) for s in range(3))
        assert visits[h + 1] == pytest.approx(ahead)
    for h in range(4):
        for s in range(3):
            assert x[h, s] == pytest.approx(GAME.contribution[h][GAME.column_of(solved.actions[h, s])].sum(axis=0))
    assert solved.mean_aggregator()[1] == pytest.approx(visits[1] @ x[1])


def test_looking_ahead_selects_what_the_myopic_miss():
    """Players are indifferent. Playing 1 costs the planner a little and leads to the state in which all is well."""
    n = 20
    weights = np.zeros((2, 2, 2 * n))
    weights[0, 0, 1::2] = -0.1
    weights[1, 1] = 1.0
    climb = MixtureTransitions(np.eye(2), [[0.0, 1.0], [0.0, 1.0]], [0.0, 0.0], [[1.0], [1.0]])
    flat = AffinePayoffs(np.zeros(2 * n), np.zeros((2 * n, 1)))
    game = AggregativeMarkovGame(2, [2] * n, np.tile([[0.0], [1.0 / n]], (n, 1)), flat, climb, [1.0, 0.0], weights)
    ahead, myopic = AggreBI().solve(game), StateWise().solve(game)
    # Within a cell the next state counts as at its centre, so that the last player of the cell has no reason to play 1.
    assert ahead.actions[0, 0].sum() == n - 1
    assert ahead.welfare == pytest.approx((n - 1) / n * n - 0.1 * (n - 1))
    assert ahead.welfare <= -0.1 * n + n <= ahead.bound + 1e-9 <= ahead.welfare + ahead.bounds[-1].value
    assert myopic.actions[0, 0].tolist() == [0] * n
    assert myopic.welfare == pytest.approx(0.0)
    assert ahead.gap.upper == myopic.gap.upper == 0.0


def test_the_default_algorithm_plans():
    result = solve(random_markov(6, 2, 1, 2, 2), backend="auto")
    assert isinstance(result.algorithm, AggreBI)
    assert result.is_converged
    with pytest.raises(InvalidData, match="does not solve aggregative_markov games"):
        solve(random_markov(6, 2, 1, 2, 2), object())
    assert isinstance(result.policy, MarkovProfile)


def test_branch_and_bound_finds_as_much_welfare():
    game = random_markov(12, 2, 3, 2, 2, gamma=1.0, seed=1)
    one, other = (solve(game, AggreBI(split=split)) for split in ("all", "widest"))
    for result in (one, other):
        assert result.is_converged
        assert result.gap.upper <= result.bounds[0].value
    assert other.state.of("upper")[-1] == pytest.approx(one.state.of("upper")[-1], abs=1e-9)
