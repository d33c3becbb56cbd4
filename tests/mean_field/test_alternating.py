"""Alternation: what it reaches is certified and never falls, several starts help, and the paper's form stops at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqsolve.backends import Limits
from eqsolve.driver import Run, Status
from eqsolve.errors import InvalidData, UnknownName
from eqsolve.mdp import optimal_policy
from eqsolve.mean_field.alternating_marl import AlternatingMARL, VacuousTolerance, authors_code
from eqsolve.mean_field.certificate import surrogate_gaps
from eqsolve.mean_field.generators import warehouse
from eqsolve.mean_field.learning.stepping import run_alone
from eqsolve.mean_field.online.execution import simulate
from eqsolve.mean_field.processes.chained import chained_response
from eqsolve.mean_field.processes.relaxations import full_information_mdp, joint_mdp
from eqsolve.mean_field.processes.surrogate import surrogate_law
from eqsolve.mean_field.two_level import two_level_value
from tests.mean_field import oracle
from tests.mean_field.alternations import solved, trap, uncertified
from tests.mean_field.games import PI_STAR, noisy, shifted, small_game


def true_value(game, policy, K):
    return oracle.mean_value(game, oracle.policy_values(game, policy, n=K), K)


@pytest.mark.parametrize(("shape", "k"), [("plain", 1), ("ragged", 2), ("zeros", 3), ("ragged types, zeros", 2)])
def test_where_it_stops_the_global_agent_has_nothing_to_gain(shape, k):
    game = small_game(shape, seed=8, n=3)
    result = solved(game, k, K=k)
    assert result.status is Status.CONVERGED
    found = surrogate_gaps(game, result.policy)
    assert found.dispatcher.upper <= 1e-4
    assert result.gap.upper <= max(found.dispatcher.upper, found.agent.upper) + 1e-9
    assert result.state.best.value == pytest.approx(true_value(game, result.policy, k), abs=1e-4)
    assert result.value == pytest.approx(true_value(game, result.policy, 3), abs=1e-6)


@pytest.mark.parametrize("global_step", ["exact", "ascent"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_value_never_falls_and_the_best_is_kept(global_step, seed):
    game = small_game("many local actions", seed=seed, n=5, gamma=0.9)
    result = solved(game, 2, global_step=global_step, starts=3)
    history = result.history
    best = history["best"]
    assert (np.diff(best) >= -2e-5).all()
    accepted = history["accepted"]
    assert (history["improvement"][accepted] >= -2e-5).all()
    assert result.state.best.value == pytest.approx(best[-1])
    assert result.value == pytest.approx(max(history["value"][accepted]), abs=1e-4)
    assert sorted(set(history["start"].tolist())) == [0, 1, 2]
    # Half-steps come in turn, within each start.
    for start in range(3):
        mine = history["local"][history["start"] == start]
        assert mine.tolist() == [bool(i % 2) for i in range(len(mine))]


def test_an_alternation_can_stop_short_and_more_starts_find_the_way_out():
    game = trap()
    one, many = solved(game, 2), solved(game, 2, starts=4)
    best = max(
        true_value(game, type(one.policy)(2, choice, local), 2)
        for local in oracle.deterministic_locals(game)
        for choice in (np.zeros((2, 3), dtype=int), np.ones((2, 3), dtype=int))
    )
    assert one.gap.upper <= 1e-4  # nobody gains alone, and everybody would gain together
    assert one.value < 0.75 * best
    assert many.value == pytest.approx(best, abs=1e-4)
    assert many.state.best_start > 0
    assert "starts, the best is number" in str(many)


def test_the_order_of_bounds():
    """Shared <= full information <= chain that leaks, and <= one plan for all."""
    game = small_game("plain", seed=5, n=2)
    policy = solved(game, 2, K=2).policy
    mean = surrogate_law(game, 2).reshape(-1)
    shared = true_value(game, policy, 2)
    informed = float((mean * optimal_policy(full_information_mdp(game, policy)).values).sum())
    leaking = chained_response(game, policy).value
    joint = float((mean * optimal_policy(joint_mdp(game, 2)).values).sum())
    assert shared <= informed + 1e-6
    assert informed <= leaking + 1e-6
    assert informed <= joint + 1e-6


SURROGATE = {1: 228.330, 2: 194.453, 3: 186.729}
"""J of alternation on the warehouse with K = k, and after so many rounds it has stopped."""


@pytest.mark.parametrize("k", SURROGATE)
def test_the_warehouse(k):
    game = warehouse()
    result = solved(game, k, K=k, ascents=1)
    assert result.state.best.value == pytest.approx(SURROGATE[k], abs=1e-3)
    assert result.state.rounds <= 3
    assert result.iterations <= 5
    if k > 1:
        assert (result.policy.local_policy == game.deterministic_local(PI_STAR)).all()
    assert result.surrogate_value == pytest.approx(SURROGATE[k], abs=1e-3)
    assert result.value < SURROGATE[k]


def test_judged_by_the_agents_that_are_not_seen_the_warehouse_earns_more():
    """At k = 1 the surrogate learns to stay where it is, the dispatcher following; for many agents that is worth little.

    A dispatcher that climbs the two-level surrogate as well commits itself, and the agents come: as good as seeing ten of them.
    """
    game = warehouse()
    naive, _ = uncertified(game, 1, K=1, ascents=1)
    aware, _ = uncertified(game, 1, K=5, ascents=1, global_step="ascent")
    assert two_level_value(game, naive) == pytest.approx(123.0, abs=0.5)
    assert two_level_value(game, aware) > 160.0
    # Agents by count, n = 1000, as an independent judge.
    earned = [simulate(game, one, 200, 100, np.random.default_rng(0)).estimate() for one in (naive, aware)]
    assert earned[0].upper + 30.0 < earned[1].lower


# Other half-steps


@pytest.mark.parametrize("step", ["sampled", "rounded", "q_learning", "noisy"])
def test_learned_global_steps(step):
    game = small_game("plain", seed=3, n=4)
    if step == "noisy":
        game = noisy(game, 0.01)
    exact = solved(game, 2, local_step="fixed")
    result = solved(game, 2, global_step=step, local_step="fixed", m=100)
    assert result.status is Status.CONVERGED
    assert result.value <= exact.value + 1e-5
    uniform = result.history["value"][0] - result.history["improvement"][0]
    assert result.value >= uniform - 1e-6
    assert result.value == pytest.approx(true_value(game, result.policy, 4), abs=1e-6)


def test_other_local_steps():
    game = small_game("two states", seed=6, n=3)
    best = two_level_value(game, uncertified(game, 2, local_step="enumerate")[0])
    for step in ("ascent", "chained", "softmax"):
        policy, history = uncertified(game, 2, local_step=step)
        value = two_level_value(game, policy)
        assert value <= best + 1e-4
        assert history["best"][-1] == pytest.approx(value, abs=1e-4)


def test_ucfh_learns_a_local_policy(monkeypatch):
    monkeypatch.setattr("eqsolve.mean_field.half_steps.EPISODES", 20)
    game = small_game("two states", seed=6, n=2, gamma=0.5)
    result = solved(game, 1, local_step="ucfh", m=5, limits=Limits(iterations=2))
    assert result.iterations == 2
    game.check_local(result.policy.local_policy)
    monkeypatch.setattr("eqsolve.mean_field.half_steps.PLANNED", 10)
    with pytest.raises(InvalidData, match="UCFH would plan for") as refused:
        solved(game, 1, local_step="ucfh", limits=Limits(iterations=2))
    assert "local_step: ascent" in str(refused.value)


def test_a_fixed_local_policy_takes_one_global_step():
    game = warehouse()
    result = solved(game, 2, K=2, local_policy=PI_STAR, local_step="fixed")
    assert result.iterations == 2
    assert (result.policy.local_policy == game.deterministic_local(PI_STAR)).all()
    assert result.surrogate_value == pytest.approx(SURROGATE[2], abs=1e-3)
    probabilities = AlternatingMARL(2, local_policy=game.deterministic_local(PI_STAR))
    assert (probabilities._first(game) == game.deterministic_local(PI_STAR)).all()


# The paper's form, and the authors' code


def test_the_papers_tolerance_ends_the_run_at_once_with_uniform_policies():
    game = warehouse()
    with pytest.warns(VacuousTolerance, match=r"2 eta of Theorem 4.8 is 86,977.9, and no value is above 290"):
        result = solved(game, 3, variant="paper")
    assert result.iterations == 1
    assert result.status is Status.CONVERGED
    assert not result.history["accepted"].any()
    assert (result.policy.local_policy == game.uniform_local()).all()
    assert np.asarray(result.policy.global_policy) == pytest.approx(0.2)
    assert [bound.value for bound in result.bounds] == [None, None]  # a uniform policy is no best response


@pytest.mark.parametrize("tolerance", [0.02, 0.5, 50.0])
def test_the_papers_form_goes_by_all_states(tolerance, monkeypatch):
    """With another eta: accepted where every state gains, rejected where one loses, else over; the first values are taken for 0."""
    monkeypatch.setattr("eqsolve.mean_field.alternating_marl.eta", lambda game, k: tolerance / 2.0)
    monkeypatch.setattr("eqsolve.mean_field.alternating_marl.eta_exceeds_values", lambda game, k: False)
    game = shifted(small_game("plain", seed=12, n=3), 1.0)
    algorithm, run = AlternatingMARL(2, variant="paper"), Run()
    state, before = algorithm.init(game, run), np.zeros((3, 6))
    verdicts = []
    while algorithm.done(game, state) is None:
        new, record = algorithm.step(game, state, run)
        run.iteration += 1
        values = oracle.policy_values(game, new.now.policy(2), n=2)
        verdicts.append(record["accepted"])
        if record["accepted"]:
            assert (values > before + tolerance - 1e-4).all()
            before = values
        state = new
        assert len(verdicts) < 20
    assert not verdicts[-1]
    assert any(verdicts) is (tolerance < 50.0)


def test_the_papers_form_rejects_what_loses_in_one_state_and_ends_where_nothing_does(monkeypatch):
    monkeypatch.setattr("eqsolve.mean_field.alternating_marl.eta", lambda game, k: 0.5)
    game, algorithm = small_game("two states", n=2), AlternatingMARL(1, variant="paper", K=1)
    monkeypatch.setattr("eqsolve.mean_field.alternating_marl.eta_exceeds_values", lambda game, k: False)
    state = algorithm.init(game, Run())
    for gains, accepted, over in (([1.1, 1.2], True, False), ([-1.1, 9.0], False, False), ([0.9, 9.0], False, True)):
        new = replace(state.now, values=state.now.values + np.array(gains), local_policy=game.deterministic_local(np.zeros((3, 2))))
        after, verdict = algorithm._paper(game, state, new, False)
        assert verdict is accepted
        assert after.over is over
        assert after.now is (new if accepted else state.now)


@pytest.mark.parametrize(("k", "earned"), [(2, 131.3), (5, 126.0)])
def test_the_authors_code(k, earned):
    """What an independent run of their code was seen to earn; more agents seen are not better there."""
    game, algorithm = warehouse(), authors_code(k, K=5)
    state, status, history = run_alone(algorithm, game)
    policy = algorithm.finish(game, state, Run())
    assert status is Status.CONVERGED
    assert len(history) <= 10
    assert len(history) % 2 == 0
    assert (policy.local_policy > 0).all()  # a softmax
    assert policy.is_deterministic
    assert simulate(game, policy, 750, 100, np.random.default_rng(0)).estimate().mean == pytest.approx(earned, abs=1.5)


# Ends


def test_a_start_without_rounds_left_is_told():
    game = small_game("zeros", seed=8, n=3)
    whole = solved(game, 2, K=2)
    assert whole.state.rounds > 1
    result = solved(game, 2, K=2, rounds=1)
    assert result.status is Status.STALLED
    assert result.iterations == 2
    assert result.state.best.value <= whole.state.best.value + 1e-5


def test_a_budget_ends_the_run_with_what_is_accepted():
    game = small_game(seed=1)
    none, one = (solved(game, 2, limits=Limits(iterations=i)) for i in (0, 1))
    assert none.status is one.status is Status.OUT_OF_ITERATIONS
    assert none.value < one.value
    assert not none.policy.is_deterministic
    assert one.policy.is_deterministic
    assert solved(game, 2, limits=Limits(seconds=0.0)).status is Status.OUT_OF_TIME


def test_ctrl_c_keeps_the_policies_that_were_accepted():
    def stop(iteration, record):
        raise KeyboardInterrupt

    game = small_game(seed=1)
    result = solved(game, 2, progress=stop)
    assert result.status is Status.INTERRUPTED
    assert result.iterations == 1
    assert result.value == pytest.approx(solved(game, 2, limits=Limits(iterations=1)).value)


# Bad input


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k": 0}, "k is 0, less than 1"),
        ({"k": 3, "K": 2}, "K is 2, less than 3"),
        ({"tolerance": 0.0}, "tolerance is 0, not above 0"),
        ({"starts": 0}, "starts is 0, less than 1"),
        ({"rounds": 1.5}, "rounds is 1.5, not a whole number"),
        ({"local_policy": [[np.nan]]}, r"local_policy\[0, 0\] is nan"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, message):
    with pytest.raises(InvalidData, match=message):
        AlternatingMARL(**parameters)


@pytest.mark.parametrize("parameter", ["global_step", "local_step", "variant"])
def test_unknown_names_are_refused(parameter):
    with pytest.raises(UnknownName, match="unknown"):
        AlternatingMARL(2, **{parameter: "exakt"})


def test_more_seen_than_there_are_is_refused():
    with pytest.raises(InvalidData, match="k is 7, and the game has 6 local agents"):
        solved(small_game(n=6), 7)
    with pytest.raises(InvalidData, match="K is 7, and the game has 6 agents"):
        solved(small_game(n=6), 2, K=7)
    with pytest.raises(InvalidData, match="choice has shape 1 x 1"):
        solved(small_game(n=6), 2, local_policy=[[0]])
