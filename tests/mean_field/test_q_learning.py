"""Off-policy Q-learning from one trajectory."""

import numpy as np
import pytest

from eqsolve.backends import Limits
from eqsolve.driver import Result, Status, solve
from eqsolve.driver.pack import from_bytes, to_bytes
from eqsolve.errors import InvalidData, UnknownName
from eqsolve.mdp import optimality_gap
from eqsolve.mean_field.certificate import surrogate_gap
from eqsolve.mean_field.learning import q_learning
from eqsolve.mean_field.learning.q_learning import QLearning, Trajectory, learn_from, learn_global, record
from eqsolve.mean_field.learning.stepping import run_alone
from eqsolve.mean_field.processes.surrogate import surrogate_mdp
from tests.mean_field import oracle
from tests.mean_field.games import PI_STAR, known, random_local, random_policy, small_game


def gap(game, policy):
    """The exact optimality gap in the k-surrogate, in its worst state."""
    mdp = surrogate_mdp(game, policy.k, policy.local_policy)
    rows = policy.global_rows(game.n_global_actions)
    here = np.repeat(game.global_available[:, None, :], rows.shape[1], axis=1)
    return optimality_gap(mdp, rows[here], everywhere=True).upper


@pytest.mark.parametrize("shape", ["plain", "ragged", "one local state"])
def test_enough_visits_make_the_policy_optimal(shape):
    game = small_game(shape, seed=1, gamma=0.6)
    local = random_local(np.random.default_rng(1), game)
    answer = learn_global(game, QLearning(2, local, steps=300_000, chunk=100_000))
    assert gap(game, answer.policy) < 0.02
    best, q = oracle.optimal_values(game, 2, local)
    seen = answer.coverage.visits > 1_000
    assert seen.any()
    assert np.abs(answer.q - q)[seen].max() < 0.1
    assert answer.coverage.visits.sum() == 300_000
    assert not answer.coverage.visits[~np.broadcast_to(game.global_available[:, None], seen.shape)].any()
    assert best.shape == answer.policy.hint.shape


def test_agents_of_other_types_are_never_seen_and_that_is_said():
    """The k agents keep their types, so that Assumption E.1 cannot hold."""
    game = small_game("two types", seed=1, gamma=0.6)
    method = QLearning(2, steps=30_000, chunk=30_000)
    answer = learn_global(game, method)
    assert answer.coverage.missed > 0
    types = game.type_of[oracle.crowds(2, 4)].sum(axis=1)  # of the second type, by histogram
    seen = answer.coverage.visits.sum(axis=(0, 2)) > 0
    assert set(types[seen]) == {types[answer.state.place]}


def test_the_warehouse_with_one_agent():
    game = known("warehouse")
    local = game.deterministic_local(PI_STAR)
    answer = learn_global(game, QLearning(1, local, steps=200_000, chunk=100_000))
    assert gap(game, answer.policy) < 1e-6
    assert answer.coverage.missed == 0
    assert str(answer.coverage).startswith("125 of 125 pairs seen (100.0%), at least ")


def test_a_trajectory_moves_as_the_game_does():
    game = small_game("zeros", seed=3)
    local = random_local(np.random.default_rng(2), game)
    seen = record(game, QLearning(2, local), 60_000, seed=4)
    kernel, reward = oracle.stage(game, 2, local)
    at = (seen.worlds[:-1], seen.places[:-1], seen.actions)
    assert seen.rewards == pytest.approx(reward[at], abs=1e-12)
    counts = np.zeros(kernel.shape)
    np.add.at(counts, (*at, seen.worlds[1:], seen.places[1:]), 1.0)
    total = counts.sum(axis=(3, 4), keepdims=True)
    assert not counts[kernel == 0].any()
    noise = np.sqrt(kernel * (1 - kernel) * total) + 1.0
    assert (np.abs(counts - total * kernel) / noise).max() < 6.0


def test_compiled_and_plain_loops_give_the_same_bytes(monkeypatch):
    game = small_game("ragged", seed=2)
    method = QLearning(2, steps=3_000, chunk=1_000, rule="constant", alpha=0.1)
    plain = run_alone(method, game, seed=7)[0]
    monkeypatch.setattr(q_learning, "COMPILE_FROM", 0)
    assert to_bytes(run_alone(method, game, seed=7)[0]) == to_bytes(plain)


def test_a_run_goes_on_as_it_would_have_gone_on():
    game = small_game("plain", seed=2)
    method = QLearning(2, steps=2_500, chunk=400)
    whole, status, history = run_alone(method, game, seed=3)
    half, early, records = run_alone(method, game, seed=3, limits=Limits(iterations=3))
    assert (status, early) == (Status.CONVERGED, Status.OUT_OF_ITERATIONS)
    stored = from_bytes(to_bytes(half), "the state")
    assert to_bytes(run_alone(method, game, seed=3, state=stored, history=records)[0]) == to_bytes(whole)
    assert history["time"][-1] == 2_500


def test_recorded_data_teach_the_same():
    game = small_game("plain", seed=4)
    local = random_local(np.random.default_rng(3), game)
    behaviour = random_policy(np.random.default_rng(4), game, 2, deterministic=False).global_policy
    method = QLearning(2, local, behaviour, steps=5_000, chunk=5_000)
    told = learn_from(game, record(game, method, 5_000, seed=1), method)
    assert told.q.tobytes() == learn_global(game, method, seed=1).q.tobytes()


def test_the_first_updates_by_hand():
    game = small_game("two states", seed=0, gamma=0.5)
    data = Trajectory([0, 1, 0, 1], [0, 1, 0, 1], [2, 0, 2], [1.0, 3.0, 5.0])
    q = learn_from(game, data, QLearning(1, alpha=1.0, power=1.0)).q
    first = 1.0
    second = 3.0 + 0.5 * first  # the best of state (0, 0) is the pair just learned
    assert q[1, 1, 0] == pytest.approx(second)
    assert q[0, 0, 2] == pytest.approx(first + 0.5 * (5.0 + 0.5 * second - first))
    constant = learn_from(game, data, QLearning(1, rule="constant", alpha=0.5)).q
    assert constant[0, 0, 2] == pytest.approx(0.5 * 0.5 + 0.5 * (5.0 + 0.5 * constant[1, 1, 0]))


def test_what_was_never_seen_is_reported():
    game = small_game("plain", seed=4)
    answer = learn_from(game, Trajectory([0, 1], [0, 0], [1], [1.0]), QLearning(1))
    assert (answer.coverage.pairs, answer.coverage.missed, answer.coverage.least) == (18, 17, 0)
    assert str(answer.coverage) == "1 of 18 pairs seen (5.6%), at least 0 times each"


def test_bad_input_is_refused():
    game = small_game("ragged", seed=1, n=3)
    with pytest.raises(InvalidData, match="k is 4, more than 3"):
        learn_global(game, QLearning(4))
    with pytest.raises(InvalidData, match="k is 0"):
        QLearning(0)
    for bad in ({"steps": 0}, {"alpha": 0.0}, {"alpha": 1.5}, {"power": 0.5}, {"power": 2.0}, {"chunk": -1}):
        with pytest.raises(InvalidData, match=f"{next(iter(bad))} is"):
            QLearning(1, **bad)
    with pytest.raises(UnknownName, match="unknown rule 'harmonic'"):
        QLearning(1, rule="harmonic")
    full = small_game("plain", n=3)
    never = np.zeros((3, 3, 2))
    never[..., 0] = 1.0
    with pytest.raises(InvalidData, match=r"behaviour\[0, 0, 1\] is 0: an available action that is never played"):
        learn_global(full, QLearning(1, behaviour=never))
    with pytest.raises(InvalidData, match="behaviour has shape"):
        learn_global(full, QLearning(1, behaviour=never[:2]))
    with pytest.raises(InvalidData, match="local_policy has shape"):
        learn_global(full, QLearning(1, never[:2]))
    with pytest.raises(InvalidData, match=r"largest k that fits"):
        learn_global(known("warehouse").with_n(10**6), QLearning(500))
    with pytest.raises(InvalidData, match=r"places\[1\] is 7"):
        learn_from(full, Trajectory([0, 1], [0, 7], [1], [1.0]), QLearning(1))
    closed = np.argwhere(~game.global_available)[0]
    with pytest.raises(InvalidData, match=rf"actions\[0\] is {closed[1]}, which global state {closed[0]} does not have"):
        learn_from(game, Trajectory([closed[0], 0], [0, 0], [closed[1]], [1.0]), QLearning(1))
    with pytest.raises(InvalidData, match="rewards has shape"):
        Trajectory([0, 1], [0, 0], [1], [1.0, 2.0])


def test_the_driver_runs_it_and_certifies_what_it_learned(tmp_path):
    game = known("warehouse")
    method = QLearning(1, steps=20_000, chunk=10_000)
    result = solve(game, method, seed=3)
    assert (result.is_converged, result.iterations) == (True, 2)
    learned = learn_global(game, method, seed=3).policy
    np.testing.assert_array_equal(result.policy.global_policy, learned.global_policy)
    assert result.gap == surrogate_gap(game, learned)
    back = Result.load(result.save(tmp_path))
    assert back.recertified() == result.gap
