"""Learning: what the learner is sure of is true, its counts persist, and a resumed run is the uninterrupted one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from eqsolve.aggregative.certificate import nash_gap as stage_gap
from eqsolve.aggregative.markov import (
    AggregativeMarkovGame,
    AggreVI,
    AggreVIUnknownRewards,
    LearnedEquilibrium,
    congestion_markov,
    learning_instance,
)
from eqsolve.aggregative.markov.certificate import deviation_values, nash_gap, values
from eqsolve.aggregative.markov.learning import Place
from eqsolve.aggregative.markov.profile import MarkovProfile
from eqsolve.aggregative.markov.samples import Estimate, cell_of, centre_of
from eqsolve.aggregative.markov.simulator import aggregators_of, play_profile
from eqsolve.aggregative.markov.stage import Classes
from eqsolve.aggregative.payoffs import AffinePayoffs, CallablePayoffs
from eqsolve.backends import Limits, solve_program
from eqsolve.certificates import certify
from eqsolve.driver import Checkpoints, NothingReached, Result, Run, Status, solve
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import EqsolveError, InvalidData, InvalidGame, UnknownName

GAME = learning_instance(12, seed=4)
"""12 players, 2 actions, 2 states, 3 steps."""
FORMS = {
    "l1": AggreVI(episodes=20_000, growth=2.0),
    "span": AggreVI(episodes=20_000, growth=2.0, bonus="span", width=0.1),
    "paper bonus": AggreVI(episodes=20_000, growth=2.0, bonus="paper"),
    "paper": AggreVI(episodes=2_000, growth=3.0, variant="paper"),
    "unknown rewards": AggreVIUnknownRewards(episodes=5_000, growth=2.0),
}


def plans(game, algorithm, seed=0):
    """Every plan of a run, made and played as the driver does it."""
    run = Run(seed=seed)
    state, merged = algorithm.init(game, run), game.merged()
    while algorithm.done(game, state) is None:
        plan = algorithm.plan(merged, state, run)
        yield plan, state
        state, _ = algorithm.advance(merged, state, plan, run)
        run.iteration += 1


def hold_together(game, algorithm, plan):
    """Optimistic values above the true ones and those of the best deviations, pessimistic ones below, the bounds above the gap."""
    profile = MarkovProfile(plan.actions)
    true, best, gap = values(game, profile), deviation_values(game, profile), nash_gap(game, profile).upper
    assert (plan.lower <= true + 1e-9).all()
    assert (true <= plan.upper + 1e-9).all()
    assert (best <= plan.reply + 1e-9).all()
    assert (best <= plan.upper + plan.eps + 1e-9).all()
    assert gap <= plan.bound + 1e-9
    if algorithm.bonus != "span":  # the extraction is then monotone in the values
        assert plan.regret <= plan.delta + plan.eps + 1e-9
    return gap


@pytest.mark.parametrize("form", FORMS)
def test_what_the_learner_is_sure_of_is_true_at_every_checkpoint(form):
    algorithm = FORMS[form]
    for seed in range(2):
        gaps = [hold_together(GAME, algorithm, plan) for plan, _ in plans(GAME, algorithm, seed)]
        assert len(gaps) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_twenty_games(seed):
    game = learning_instance(10, states=1 + seed % 3, horizon=2 + seed % 2, dimension=1 + seed % 2, gamma_transition=0.3, seed=seed)
    algorithm = AggreVI(episodes=3_000, bonus=("l1", "span")[seed % 2], growth=3.0, cells=5)
    for plan, _ in plans(game, algorithm, seed):
        hold_together(game, algorithm, plan)


def test_a_bonus_that_is_too_small_is_found_out():
    """The same checks fail for a constant that no theorem allows, and the bound says that it is not proved."""
    algorithm = AggreVI(episodes=200, growth=2.0, bonus="paper", factor=1e-3, width=1e-9, half_width=1e-9)

    def check():
        for plan, _ in plans(GAME, algorithm):
            hold_together(GAME, algorithm, plan)

    with pytest.raises(AssertionError):
        check()
    found = algorithm.solve(GAME)
    assert all(bound.value is None and "c = 0.001" in bound.failed[0] for bound in found.bounds)


def test_a_learned_equilibrium():
    result = AggreVI(width=0.5, growth=1.0).solve(GAME)
    assert isinstance(result, LearnedEquilibrium)
    assert result.status is Status.CONVERGED
    assert result.delta <= 0.5 < result.history["delta"][-2]
    assert result.gap.upper <= result.bound <= result.delta + result.eps
    assert result.bounds[0].value == pytest.approx(result.delta + result.eps)
    assert result.episodes == result.history["episodes"][-1] == result.best.episodes
    assert result.delta == result.history["best"][-1] == result.history["delta"].min()
    assert result.delta == pytest.approx(np.diff(result.band, axis=1).max())
    assert (result.history["upper"] - result.history["lower"]) == pytest.approx(result.history["delta"])
    assert result.visited == result.history["visited"][-1] < 60
    assert result.details()["learning"]["experimental"] is False
    for word in ("width Delta", "episodes", "cells", "learning, with probability 0.95"):
        assert word in str(result)


def test_episodes_grow_by_the_growth_factor():
    run = AggreVI(episodes=100, growth=0.5, width=0.4).solve(GAME)
    episodes = run.history["episodes"]
    assert run.status is Status.OUT_OF_ITERATIONS
    assert episodes[-1] == run.episodes == 100
    blocks = np.maximum(1, np.floor(0.5 * episodes[:-2]))
    assert (np.diff(episodes)[:-1] == blocks).all()
    every = AggreVI(episodes=8, growth=1e-9).solve(GAME)
    assert every.history["episodes"].tolist() == list(range(9))


def test_a_budget_of_steps_is_not_convergence():
    cut = AggreVI().solve(GAME, limits=Limits(iterations=3))
    assert cut.status is Status.OUT_OF_ITERATIONS
    assert cut.iterations == 3
    with pytest.raises(NothingReached, match="before its first plan"):
        AggreVI().solve(GAME, limits=Limits(iterations=0))


def test_without_data_nothing_but_the_rewards_is_known():
    """The first plan: all that is left is possible, H - 1 in total; and the spans of the values bound it better."""
    wide = AggreVI().solve(GAME, limits=Limits(iterations=1))
    assert wide.delta == pytest.approx(2.0)
    assert AggreVI(bonus="span").solve(GAME, limits=Limits(iterations=1)).delta < 2.0
    alone = AggreVI().solve(learning_instance(8, horizon=1, seed=1))
    assert (alone.status, alone.delta, alone.iterations) == (Status.CONVERGED, 0.0, 1)


def known(game, algorithm, where):
    """Places of which the true transitions are known, at the cells that ``where(h, s)`` gives (C, d)."""
    rule, grids = algorithm.confidence(game), algorithm.grids(game)

    def place(h, s):
        x = where(h, s)
        probability = game.transition.batch(h, s, x)
        number = np.array([cell_of(grids[h], one) for one in x])
        return Place(h, s, Estimate(x, number, probability, np.full(len(x), np.inf), grids[h].b), rule)

    return [[place(h, s) for s in range(game.n_states)] for h in range(game.horizon)]


def test_with_the_true_transitions_the_grid_alone_makes_the_width():
    """Infinitely many visits: 2 gamma_P b sum (H - h) with data at the policy's own aggregators, at most twice that elsewhere."""
    algorithm, game = AggreVI(), GAME
    grids = algorithm.grids(game)
    floor = 2 * 0.05 * sum(grids[h].b * (game.horizon - 1 - h) for h in range(game.horizon))
    assert algorithm.floor(game) == pytest.approx(floor)
    everywhere = known(game, algorithm, lambda h, s: np.array([centre_of(grids[h], k) for k in range(grids[h].size)]))
    plan = algorithm.plan_from(game, everywhere, 0, Run())
    assert floor - 1e-12 <= plan.delta <= 2 * floor + 1e-12
    for _ in range(5):
        x = aggregators_of(game, plan.actions)
        again = algorithm.plan_from(game, known(game, algorithm, lambda h, s, x=x: x[h, s][None, :]), 0, Run())
        if (again.actions == plan.actions).all():
            break
        plan = again
    assert again.delta == pytest.approx(floor, abs=1e-12)
    hold_together(game, algorithm, again)
    with pytest.raises(InvalidData, match="no number of episodes brings it below"):
        AggreVI(width=0.9 * floor).solve(game)


def test_the_first_plan_with_true_transitions_is_close_to_planning():
    """No optimism is left on a fine grid: the gap is that of the stage programs."""
    algorithm = AggreVI(half_width=1e-5)
    grids = algorithm.grids(GAME)
    everywhere = known(GAME, algorithm, lambda h, s: np.linspace(grids[h].lower, grids[h].upper, 2001))
    plan = algorithm.plan_from(GAME, everywhere, 0, Run())
    gap = hold_together(GAME, algorithm, plan)
    assert plan.bound - gap < 1e-3


def test_counts_persist_over_plans():
    states = [state for _, state in plans(GAME, AggreVI(episodes=300, growth=0.7))]
    for one, other in pairwise(states):
        k = len(one.samples)
        assert (other.samples.cell[:k] == one.samples.cell).all()
        assert (other.samples.visits[:k] >= one.samples.visits).all()
        first = other.samples.step == 0
        assert other.samples.visits[first].sum() == other.episodes
        assert (other.samples.moves.sum(axis=1)[other.samples.step < 2] == other.samples.visits[other.samples.step < 2]).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_stage_games_are_lipschitz_and_the_answers_are_theirs(form):
    algorithm = FORMS[form]
    *_, (plan, state) = plans(GAME, algorithm, 1)
    upper, lower = algorithm.values_of(GAME, plan.actions, state)
    assert upper[0] == pytest.approx(plan.upper)
    assert lower[0] == pytest.approx(plan.lower)
    places = algorithm.places(GAME, state)
    for h in range(3):
        for s in range(2):
            one = algorithm.stage_game(GAME, places[h][s], Classes.of(GAME, upper[h + 1]), upper[h + 1])
            assert one.check_lipschitz(50, h) <= 1.0
            assert plan.slack[h, s] == pytest.approx(stage_gap(one, one.plays(plan.actions[h, s])).upper)


@pytest.mark.parametrize("form", ["l1", "paper", "unknown rewards"])
def test_a_resumed_run_is_the_uninterrupted_one(form, tmp_path):
    algorithm = replace(FORMS[form], episodes=60, growth=0.8)
    whole = solve(GAME, algorithm, seed=5)
    for cut in (4, 7):
        folder = Checkpoints(tmp_path, seconds=0.0, resume=cut > 4)
        part = solve(GAME, algorithm, seed=5, checkpoint=folder, limits=Limits(iterations=cut))
        assert part.iterations == cut
    again = solve(GAME, algorithm, seed=5, checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.history.equals(whole.history)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert to_bytes(again.state) == to_bytes(whole.state)
    assert to_bytes(solve(GAME, algorithm, seed=6).state) != to_bytes(whole.state)


def test_more_jobs_and_other_backends_give_the_same(tmp_path):
    algorithm = AggreVI(episodes=100, growth=5.0)
    one = algorithm.solve(GAME)
    highs = algorithm.solve(GAME, backend="highs")
    assert highs.gap.upper <= highs.bound
    assert highs.history["delta"][0] == pytest.approx(one.history["delta"][0])
    two = algorithm.solve(GAME, n_jobs=2)
    assert two.history.equals(one.history)
    back = Result.load(one.save(tmp_path))
    assert isinstance(back, LearnedEquilibrium)
    assert (back.delta, back.bound, back.gap) == (one.delta, one.bound, one.gap)
    assert str(back.program("confidence", 0, 1)) == str(one.program("confidence", 0, 1))


def test_equal_players_are_one_type():
    game = congestion_markov(40, 2, wear=2, horizon=3, types=2, seed=1)
    algorithm = AggreVI(episodes=2_000, reward_range=(-15.0, 0.5), cells=6, bonus="span", growth=2.0)
    for plan, _ in plans(game, algorithm):
        hold_together(game, algorithm, plan)
    lone = replace(
        game,
        n_actions=np.repeat(game.n_actions, game.players),
        contribution=np.repeat(game.contribution.reshape(3, 2, 2, -1), 20, axis=1).reshape(3, 80, -1),
        rewards=[[one.take(np.repeat(np.arange(4).reshape(2, 2), 20, axis=0).reshape(-1)) for one in row] for row in game.rewards],
        welfare=None,
        count=None,
        actions=(),
    )
    typed, apart = (algorithm.solve(replace(one, welfare=None), limits=Limits(iterations=6)) for one in (game, lone))
    assert apart.history["delta"] == pytest.approx(typed.history["delta"])


def test_a_declared_range_of_rewards():
    """Rewards moved and stretched: the same learner on another scale."""
    moved = replace(GAME, rewards=[[AffinePayoffs(3.0 * one.base - 5.0, 3.0 * one.slope) for one in row] for row in GAME.rewards])
    with pytest.raises(InvalidData, match=r"outside \[0, 1\]\n.*Rewards from -[45]\.\d+ to -2") as trouble:
        AggreVI().solve(moved)
    assert "reward_range=(least, largest)" in str(trouble.value)
    one = AggreVI(episodes=500, growth=3.0).solve(GAME)
    other = AggreVI(episodes=500, growth=3.0, reward_range=(-5.0, -2.0)).solve(moved)
    assert other.history["delta"] == pytest.approx(3.0 * one.history["delta"])
    assert other.gap.upper == pytest.approx(3.0 * one.gap.upper)
    assert AggreVI(reward_range=(-5, -2)).wanted(moved) == pytest.approx(0.9)


@pytest.mark.parametrize("kind", [AggreVI, AggreVIUnknownRewards])
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"p": 0.0}, InvalidData, "p is 0"),
        ({"p": 1.0}, InvalidData, "p is 1"),
        ({"episodes": 0}, InvalidData, "episodes is 0"),
        ({"cells": 0}, InvalidData, "cells is 0"),
        ({"cells": (3, 0)}, InvalidData, r"cells\[1\] is 0"),
        ({"cells": 3, "half_width": 0.1}, InvalidData, "both cells and half_width"),
        ({"bonus": "l2"}, UnknownName, "unknown bonus 'l2'"),
        ({"growth": 0.0}, InvalidData, "growth is 0"),
        ({"factor": -1.0}, InvalidData, "factor is -1"),
        ({"width": 0.0}, InvalidData, "width is 0"),
        ({"width": float("nan")}, InvalidData, "width is nan"),
        ({"reward_range": (1.0, 0.0)}, InvalidData, r"reward_range is \(1, 0\)"),
        ({"reward_range": 1.0}, InvalidData, "reward_range"),
        ({"tolerance": "best"}, UnknownName, "unknown tolerance"),
        ({"rounding": "up"}, InvalidData, "rounding is 'up'"),
    ],
)
def test_bad_parameters(kind, given, error, message):
    with pytest.raises(error, match=message):
        kind(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variant": "printed"}, "variant is 'printed'"),
        ({"variant": "paper", "bonus": "span"}, "not 'span'"),
    ],
)
def test_bad_variants(given, message):
    with pytest.raises(InvalidData, match=message):
        AggreVI(**given)


def test_cells_that_do_not_fit_the_game():
    with pytest.raises(EqsolveError, match="cells"):
        AggreVI(cells=(3, 3)).solve(GAME)


def test_constants_that_samples_refute():
    steep = CallablePayoffs(lambda columns, x: np.clip(0.5 + 0.9 * np.sin(40 * x[:, 0]), 0, 1), 0.01, GAME.n_columns, 1)
    with pytest.raises(InvalidGame, match="Lipschitz"):
        AggreVI().solve(replace(GAME, rewards=steep))


def test_the_confidence_program_is_the_closed_form_of_the_run():
    result = AggreVI(episodes=400, growth=5.0).solve(GAME)
    algorithm, state = result.algorithm, result.state
    upper, lower = algorithm.values_of(GAME, result.policy.actions, state)
    places, grids, x = algorithm.places(GAME, state), algorithm.grids(GAME), result.aggregators
    for h, s, player in ((0, 0, 0), (0, 1, 5), (1, 0, 11)):
        place, gamma = places[h][s], float(GAME.gamma_transition[h, s])
        high = place.confidence.upper(upper[h + 1], place.estimate, h, gamma, np.arange(12))
        low = place.confidence.lower(lower[h + 1], place.estimate, h, gamma, np.arange(12))
        for cell in (None, 0, 9):
            more = () if cell is None else ("cell", cell)
            centre = centre_of(grids[h], cell_of(grids[h], x[h, s]) if cell is None else cell)
            for side, family, sign in (("upper", high, 1), ("lower", low, -1)):
                program = result.program("confidence", h, s, "player", player, "side", side, *more)
                outcome = solve_program(program)
                assert certify(program, outcome).holds(1e-7)
                assert outcome.objective == pytest.approx(sign * family.groups(centre[None, :])[0, player], abs=1e-7)
    assert "what comes after step 0, state 1: player 5, upper values" in str(result.program("confidence", 0, 1, "player", 5))
    assert result.program().name == "confidence set with Lipschitzness"


def test_the_program_of_an_optimistic_stage_game():
    result = AggreVI(episodes=400, growth=5.0).solve(GAME)
    program = result.program("stage", 1, 0)
    assert program.name == "aggregative stage program"
    assert str(result.algorithm.select(GAME, "stage:1:0:cell:3", lambda: result)) == str(result.program("stage", 1, 0, "cell", 3))
    for which, message in (
        (("stage", 3, 0), "no step 3"),
        (("stage", 0, 0, "cell", 10**6), "no cell 1000000"),
        (("stage", 0, 0, "player", 0), "unknown program"),
        (("confidence", 0), "unknown program"),
        (("confidence", 0, 0, "player", 12), "no player 12"),
        (("confidence", 0, 0, "side", "above"), "unknown side"),
    ):
        with pytest.raises(EqsolveError, match=message):
            result.program(*which)


def test_a_grid_too_fine_for_the_program_says_what_fits():
    fine = AggreVI(half_width=1e-6, episodes=5).solve(GAME)
    with pytest.raises(InvalidData, match=r"has \d{3},\d{3} cells at step 0") as trouble:
        fine.program()
    fitting = float(str(trouble.value).split("half_width of ")[1].split(" fits")[0])
    assert AggreVI(half_width=fitting * 1.01, episodes=5).solve(GAME).program().kind == "LP"


def noise(rng, size):
    return rng.uniform(-0.2, 0.2, size)


def test_unknown_rewards_are_learned():
    algorithm = AggreVIUnknownRewards(episodes=3_000, growth=2.0, noise=noise, noise_bound=0.2)
    *_, (plan, state) = plans(GAME, algorithm, 3)
    hold_together(GAME, algorithm, plan)
    seen = state.rewards
    for h, s, cell, count, total in zip(seen.step, seen.state, seen.cell, seen.count, seen.total, strict=True):
        row = state.samples.row(h, s, cell)
        assert (count <= state.samples.visits[row]).all()
        centre = centre_of(algorithm.grids(GAME)[h], int(cell))
        often = count > 300
        near = GAME.reward(h, s).batch(centre[None, :])[0]
        assert (np.abs(total[often] / count[often] - near[often]) < 0.1).all()
    each = seen.count[seen.step == 0].sum(axis=0).reshape(12, 2).sum(axis=1)
    assert (each == state.episodes).all()
    result = replace(algorithm, episodes=50).solve(GAME)
    assert result.is_experimental
    assert "experimental" in str(result)
    assert result.details()["learning"]["experimental"]
    assert "EXPERIMENTAL" in AggreVIUnknownRewards.__doc__


def test_unknown_rewards_are_wider_than_known_ones():
    one, other = (kind(episodes=500, growth=3.0).solve(GAME) for kind in (AggreVI, AggreVIUnknownRewards))
    assert other.delta > one.delta
    assert other.history["delta"][0] == pytest.approx(3.0)
    assert other.gap.upper <= other.bound


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"noise": noise}, "Give both"),
        ({"noise_bound": 0.1}, "Give both"),
        ({"noise": 3, "noise_bound": 0.1}, "cannot be called"),
        ({"noise": noise, "noise_bound": -1.0}, "noise_bound is -1"),
    ],
)
def test_bad_noise(given, message):
    with pytest.raises(InvalidData, match=message):
        AggreVIUnknownRewards(**given)


def test_noise_beyond_its_bound():
    with pytest.raises(InvalidData, match="noise of size"):
        AggreVIUnknownRewards(noise=noise, noise_bound=0.01, episodes=50).solve(GAME)


def test_the_instances_of_the_notes():
    for states, horizon in ((2, 3), (4, 5)):
        game = learning_instance(states=states, horizon=horizon)
        assert isinstance(game, AggregativeMarkovGame)
        assert (game.n_players, game.n_states, game.horizon, game.n_columns) == (20, states, horizon, 40)
        assert game.gamma_transition == pytest.approx(np.full((horizon, states), 0.05))
        for h in range(horizon):
            for s in range(states):
                ends = game.reward(h, s).batch(np.stack((game.lower[h], game.upper[h])))
                assert ends.min() >= -1e-12
                assert ends.max() <= 1 + 1e-12
    played = play_profile(game, np.zeros((5, 4, 20), dtype=np.int32), 10, np.random.default_rng(0))
    assert played.visits.shape == (5, 4)
