"""Best-reply dynamics: exact replies, honest ends, the same bytes again."""

from __future__ import annotations

import numpy as np
import pytest

import eqsolve
from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    FixedPointNash,
    congestion,
    ev_charging,
    nash_gap,
    player_gains,
    random_affine,
)
from eqsolve.aggregative.best_reply import best_replies, sweep_replies
from eqsolve.aggregative.bounds import pure_existence
from eqsolve.backends import Limits
from eqsolve.driver import Checkpoints, Result, Status
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData, UnknownName
from tests.aggregative.oracle import all_profiles, payoff, tiny_game

RULES = ("adaptive", "harmonic")


def chase(players=200):
    """Half of the players want to be where few of the others are, who want to be where they are: no potential."""
    g = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]) / players
    slope = np.array([[0.0, 1.0], [0.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    return AggregativeGame([2, 2], g, AffinePayoffs(np.array([-0.25, 0.0, 0.25, 0.0]), slope), count=[players // 2] * 2)


@pytest.mark.parametrize("seed", range(120))
def test_tiny_games_of_every_family(seed):
    game = tiny_game(seed)
    result = eqsolve.solve(game, FixedPointNash(step_rule=RULES[seed % 2], ties="random" if seed % 3 else "first"), seed=seed)
    mine = {one.plays.tobytes(): one for one in all_profiles(game)}[game.plays(result.actions).tobytes()]
    assert result.gap.upper == pytest.approx(mine.gap, abs=1e-12)
    assert result.is_converged == (result.gap.upper <= result.stated_gap + 1e-9)
    assert result.is_converged or result.status is Status.STALLED
    if result.iterations:
        assert result.history["least_gap"][-1] == pytest.approx(result.gap.upper, abs=1e-12)
        assert (np.diff(result.history["least_gap"]) <= 0).all()


def test_most_tiny_games_end_at_a_pure_equilibrium_where_there_is_one():
    """Not a theorem: it guards the search against becoming a worse one."""
    found = there = 0
    for seed in range(60):
        game = tiny_game(seed)
        if any(one.gap <= 1e-12 for one in all_profiles(game)):
            there += 1
            found += eqsolve.solve(game, FixedPointNash(gap=0.0)).gap.upper <= 1e-9
    assert there > 30
    assert found >= 0.9 * there


@pytest.mark.parametrize("seed", range(30))
def test_replies_are_the_best_there_are(seed):
    game = tiny_game(seed)
    rng = np.random.default_rng(seed)
    profile = all_profiles(game)[0]
    actions = np.array([rng.integers(m) for m in game.n_actions])
    plays = game.plays(actions)
    gain, reply = best_replies(game, plays)
    assert gain == pytest.approx(player_gains(game, plays), abs=1e-12)
    x = game.aggregator(plays)
    for i, a in enumerate(actions):
        mine = int(game.offsets[i]) + int(a)
        to = int(reply[mine])
        moved = x + game.contribution[to] - game.contribution[mine]
        earned = payoff(game, to, moved) - payoff(game, mine, x) if to != mine else 0.0
        assert earned == pytest.approx(gain[mine], abs=1e-12)
    assert (reply[plays == 0] == np.flatnonzero(plays == 0)).all()
    assert profile.plays.sum() == plays.sum()


def test_ties():
    payoffs = AffinePayoffs(np.array([0.0, 1.0, 1.0, 1.0]), np.zeros((4, 1)))
    game = AggregativeGame([4], np.zeros((4, 1)), payoffs, count=[6])
    plays = np.array([6, 0, 0, 0])
    assert best_replies(game, plays)[1][0] == 1
    assert best_replies(game, plays, np.array([0.9, 0.1, 0.2, 0.5]))[1][0] == 3
    assert best_replies(game, np.array([0, 0, 6, 0]), np.array([0.9, 0.8, 0.2, 0.5]))[1][2] == 2


@pytest.mark.parametrize("seed", range(20))
def test_a_sweep_makes_replies_that_gain_one_after_the_other(seed):
    """In a game with an exact potential every reply raises it."""
    game = congestion(30, 3, types=3, seed=seed).merged()
    rng = np.random.default_rng(seed)
    plays = game.plays(rng.integers(0, 3, 30))

    def rosenthal(plays):
        kappa = find_kappa(game)
        total = 0.0
        for k in range(3):
            load = int(sum(plays[t * 3 + k] for t in range(game.n_types)))
            for j in range(1, load + 1):
                x = np.zeros(3)
                x[k] = j / 30
                total += payoff(game, k, x) / kappa[0]
            total -= load * payoff(game, k, np.zeros(3)) / kappa[0]
        base = np.array([payoff(game, c, np.zeros(3)) for c in range(game.n_columns)])
        return total + float((base / kappa[game.owner]) @ plays)

    before = rosenthal(plays)
    after, moved = sweep_replies(game, plays, np.flatnonzero(plays), 1e-12, 1000)
    game.check_plays(after)
    assert (moved > 0) == (nash_gap(game, plays).upper > 1e-12)
    assert rosenthal(after) > before if moved else rosenthal(after) == before
    assert sweep_replies(game, plays, np.flatnonzero(plays), 1e-12, 1)[1] >= min(moved, 1)


def find_kappa(game):
    from eqsolve.aggregative import find_potential

    return np.asarray(find_potential(game).kappa)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "game",
    [
        congestion(300, 4),
        congestion(5000, 4, types=5),
        ev_charging(1500, 24),
        random_affine(500, (1, 4), 6),
        random_affine(2000, 3, 24),
    ],
    ids=lambda game: f"{game.name} {game.n_coordinates}",
)
def test_large_games_reach_the_stated_gap(game, rule):
    result = eqsolve.solve(game, FixedPointNash(step_rule=rule))
    assert result.gap.upper == pytest.approx(player_gains(result.merged, result.plays).max(), abs=1e-12)
    assert result.stated_gap == pytest.approx(pure_existence(result.merged).value)
    assert result.is_converged
    assert result.gap.upper <= result.stated_gap
    assert nash_gap(game, game.plays(result.actions)).upper == pytest.approx(result.gap.upper, abs=1e-12)


def test_fictitious_play_settles_a_chase_and_a_tight_gap_stalls():
    game = chase()
    played = eqsolve.solve(game, FixedPointNash(gap=0.03))
    assert played.is_converged
    assert played.gap.upper < eqsolve.solve(game, FixedPointNash(gap=0.03), limits=Limits(iterations=30)).gap.upper
    tight = eqsolve.solve(game, FixedPointNash(gap=1e-6, patience=5))
    assert tight.status is Status.STALLED
    assert tight.gap.upper > 1e-6
    assert "asked for" in str(tight)
    assert tight.to_json()["stated_gap"] == 1e-6


def test_without_polish_the_search_ends_at_the_stated_gap():
    game = congestion(2000, 6)
    rough = eqsolve.solve(game, FixedPointNash(gap=0.05, polish=False))
    fine = eqsolve.solve(game, FixedPointNash(gap=0.05))
    assert rough.is_converged
    assert fine.is_converged
    assert fine.gap.upper <= rough.gap.upper <= 0.05
    assert rough.history["gap"][-1] <= 0.05
    assert (rough.history["gap"][:-1] > 0.05).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_run_is_the_uninterrupted_one(rule, tmp_path):
    game, algorithm = chase(60), FixedPointNash(step_rule=rule, ties="random", patience=4, gap=0.0)
    whole = eqsolve.solve(game, algorithm, seed=5)
    assert whole.iterations > 5
    for cut in range(1, whole.iterations, 3):
        asked = Checkpoints(tmp_path, seconds=0.0, resume=cut > 1)
        eqsolve.solve(game, algorithm, seed=5, checkpoint=asked, limits=Limits(iterations=cut))
    again = eqsolve.solve(game, algorithm, seed=5, checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.history.equals(whole.history)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert (again.gap, again.status) == (whole.gap, whole.status)


def test_same_seed_same_bytes_and_other_seeds_other_runs():
    game, algorithm = random_affine(80, 3, 2, gamma=2.0), FixedPointNash(step_rule="harmonic", ties="random")
    first, second, other = (eqsolve.solve(game, algorithm, seed=seed) for seed in (1, 1, 2))
    assert to_bytes(first.policy) == to_bytes(second.policy)
    assert first.history.equals(second.history)
    assert not first.history.equals(other.history)


def test_budgets_and_interrupts_keep_the_best():
    game, algorithm = chase(), FixedPointNash(step_rule="harmonic", gap=0.0)
    cut = eqsolve.solve(game, algorithm, limits=Limits(iterations=12))
    assert cut.status is Status.OUT_OF_ITERATIONS
    assert cut.gap.upper == pytest.approx(cut.history["least_gap"][-1], abs=1e-12)
    start = eqsolve.solve(game, algorithm, limits=Limits(iterations=0))
    assert start.iterations == 0
    assert start.gap.upper >= cut.gap.upper

    def stop(iteration, record):
        if iteration == 12:
            raise KeyboardInterrupt

    stopped = eqsolve.solve(game, algorithm, progress=stop)
    assert stopped.status is Status.INTERRUPTED
    assert stopped.gap == cut.gap


def test_edges():
    alone = congestion(1, 2)
    assert eqsolve.solve(alone, FixedPointNash()).gap.upper == 0.0
    one_action = AggregativeGame([1, 1], np.ones((2, 1)), AffinePayoffs(np.zeros(2), np.ones((2, 1))))
    assert eqsolve.solve(one_action, FixedPointNash()).is_converged
    still = AggregativeGame([2], np.zeros((2, 1)), AffinePayoffs(np.array([0.0, 1.0]), np.zeros((2, 1))), count=[10**6])
    result = eqsolve.solve(still, FixedPointNash())
    assert result.is_converged
    assert result.plays.tolist() == [0, 10**6]


def test_bad_input():
    with pytest.raises(InvalidData, match="gap is -1"):
        FixedPointNash(gap=-1)
    with pytest.raises(UnknownName, match="unknown step rule 'fast'"):
        FixedPointNash(step_rule="fast")
    with pytest.raises(UnknownName, match="unknown rule for ties 'last'"):
        FixedPointNash(ties="last")
    with pytest.raises(InvalidData, match="patience is 0"):
        FixedPointNash(patience=0)
    with pytest.raises(InvalidData, match="solves no programs"):
        eqsolve.solve(congestion(5, 2), FixedPointNash()).program()


def test_a_saved_run_can_be_read_and_judged_again(tmp_path):
    result = eqsolve.solve(congestion(60, 3), FixedPointNash())
    back = Result.load(result.save(tmp_path / "run"))
    assert back.recertified() == result.gap
    assert back.stated_gap == result.stated_gap
