"""Games that are only a function: climbed by playing them, and simulators that answer with something else."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.bayesian_network import (
    BayesianNetwork,
    nash_gap,
    optimality_gap,
    penalty_game,
)
from eqsolve.bayesian_network.reinforce import ascend_by_playing
from eqsolve.bayesian_network.simulation import ModelSimulator, horizon_for, play_episodes
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData
from tests.bayesian_network import oracle
from tests.bayesian_network.games import random_policy
from tests.bayesian_network.methods import LAM, Lamps, game, network_of, rescaled

# Games without a model


@pytest.mark.parametrize("network", ["product", ((1, 0),), BayesianNetwork.chain(2)])
def test_a_game_is_learnt_by_playing_it(network):
    simulator, told = Lamps(), []
    found = ascend_by_playing(
        simulator, network, 0.02, rounds=120, episodes=64, seed=1, progress=lambda t, mean: told.append((t, mean))
    )
    one = Lamps.model()
    assert found.policy.network == network_of(one, network)
    assert nash_gap(one, found.policy).upper <= optimality_gap(one, found.policy).upper + 1e-12 <= 0.2
    assert max(oracle.agent_gain(one, found.policy, i) for i in range(2)) <= 0.2
    assert oracle.value(one, found.policy) >= 1.8  # of 2
    assert oracle.value(one, found.policy.greedy()) == pytest.approx(2.0)
    assert simulator.episodes == {64}
    assert simulator.calls == 120 * horizon_for(0.5)
    assert told == list(enumerate(found.returns.tolist()))
    assert found.returns.shape == (120,)
    assert found.returns[-20:].mean() > found.returns[:5].mean() + 0.5
    assert not found.returns.flags.writeable


def test_the_penalty_game_is_climbed_by_playing_it_alone():
    one = penalty_game(-10.0)
    for network in ("product", "dense"):
        found = ascend_by_playing(ModelSimulator(one), network, LAM, rounds=200, step_size=0.1)
        assert nash_gap(one, found.policy).upper <= 1.0
        assert oracle.value(one, found.policy) >= 9.0


def test_the_ascent_by_playing_is_the_same_for_the_same_seed_and_takes_the_parameters_of_the_other():
    some = {"rounds": 6, "episodes": 8, "length": 3, "step_size": 0.5, "decay": 2.0}
    one = game("dense")
    first, same, other = (ascend_by_playing(ModelSimulator(one), "chain", LAM, **some, seed=seed) for seed in (1, 1, 2))
    assert to_bytes(first.policy) == to_bytes(same.policy)
    assert first.returns.tobytes() == same.returns.tobytes()
    assert to_bytes(first.policy) != to_bytes(other.policy)
    for change in ({"length": 4}, {"step_size": 0.6}, {"decay": 3.0}, {"baseline": False}, {"episodes": 9}, {"rounds": 5}):
        unlike = ascend_by_playing(ModelSimulator(one), "chain", LAM, **(some | change), seed=1)
        assert to_bytes(unlike.policy) != to_bytes(first.policy)
    # Without a reward the barrier alone is climbed, from its maximum.
    idle = ascend_by_playing(ModelSimulator(rescaled(one, 0.0)), "chain", LAM, **some)
    assert all(np.array_equal(table, np.full(table.shape, 1 / table.shape[-1])) for table in idle.policy.tables)


def test_ctrl_c_ends_the_ascent_with_what_was_reached():
    def stop(t, mean):
        if t == 3:
            raise KeyboardInterrupt

    found = ascend_by_playing(Lamps(), "chain", LAM, rounds=50, episodes=8, seed=1, progress=stop)
    whole = ascend_by_playing(Lamps(), "chain", LAM, rounds=4, episodes=8, seed=1)
    assert to_bytes(found.policy) == to_bytes(whole.policy)
    assert found.returns.tolist() == whole.returns.tolist()

    class Stubborn(Lamps):
        def play(self, rng, states, actions):
            if self.calls == 25:
                raise KeyboardInterrupt
            return super().play(rng, states, actions)

    within = ascend_by_playing(Stubborn(), "chain", LAM, rounds=50, episodes=8, length=10, seed=1)
    assert within.returns.shape == (2,)
    first = ascend_by_playing(Lamps(), "chain", LAM, rounds=2, episodes=8, length=10, seed=1)
    assert to_bytes(within.policy) == to_bytes(first.policy)


# Bad simulators


class Broken(Lamps):
    """Answers as told, from some step on."""

    def __init__(self, answer, after=0):
        super().__init__()
        self.answer, self.after = answer, after

    def play(self, rng, states, actions):
        good = super().play(rng, states, actions)
        return self.answer(*good) if self.calls > self.after else good


class Unready(Lamps):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def reset(self, rng, episodes):
        return self.answer(super().reset(rng, episodes))


def put(array, value, at=2):
    changed = np.array(array, dtype=np.float64)
    changed[at] = value
    return changed


BAD_PLAY = [
    (lambda r, s: (r[:-1], s), r"rewards at step 3 has shape 7, expected 8"),
    (lambda r, s: (r[:, None], s), r"rewards at step 3 has shape 8 x 1, expected 8"),
    (lambda r, s: (put(r, np.nan), s), r"rewards at step 3\[2\] is nan"),
    (lambda r, s: (put(r, -np.inf, 0), s), r"rewards at step 3\[0\] is -inf"),
    (lambda r, s: (r + 1j, s), r"rewards at step 3 is not an array of numbers"),
    (lambda r, s: ("many", s), r"rewards at step 3 is not an array of numbers"),
    (lambda r, s: (None, s), r"rewards at step 3"),
    (lambda r, s: (r, s[:-1]), r"states at step 4 has shape 7, expected 8"),
    (lambda r, s: (r, np.append(s, 0)), r"states at step 4 has shape 9, expected 8"),
    (lambda r, s: (r, np.eye(2)[s]), r"states at step 4 has shape 8 x 2, expected 8"),
    (lambda r, s: (r, put(s, 2)), r"states at step 4 are not all from 0 to 1: one is 2"),
    (lambda r, s: (r, put(s, -1)), r"states at step 4 are not all from 0 to 1: one is -1"),
    (lambda r, s: (r, put(s, 0.5)), r"states at step 4\[2\] is 0.5, not a whole number"),
    (lambda r, s: (r, put(s, np.nan)), r"states at step 4\[2\] is nan"),
    (lambda r, s: (r, put(s, 1e30)), r"states at step 4\[2\] is 1e\+30, too large"),
    (lambda r, s: (r, None), r"states at step 4"),
    (lambda r, s: r, r"play at step 3 gives no pair of rewards and next states"),
    (lambda r, s: None, r"play at step 3 gives no pair"),
    (lambda r, s: (r, s, False, {}), r"play at step 3 gives no pair"),
]


@pytest.mark.parametrize(("answer", "words"), BAD_PLAY)
def test_a_simulator_that_answers_with_something_else_is_named(answer, words):
    policy = random_policy(np.random.default_rng(1), BayesianNetwork.chain(2), 2, (2, 2))
    for run in (
        lambda: ascend_by_playing(Broken(answer, after=3), rounds=2, episodes=8),
        lambda: play_episodes(Broken(answer, after=3), policy, np.random.default_rng(0), 8, 6),
    ):
        with pytest.raises(InvalidData, match=f"the simulator's {words}"):
            run()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s: s[:-1], "has shape 7, expected 8"),
        (lambda s: s + 1.5, "not a whole number"),
        (lambda s: s + 5, "are not all from 0 to 1: one is 6"),
        (lambda s: s - 7, "are not all from 0 to 1: one is -7"),
        (lambda s: None, "states at step 0"),
        (lambda s: "home", "not an array of numbers"),
        (lambda s: put(s, np.inf), r"states at step 0\[2\] is inf"),
    ],
)
def test_first_states_that_do_not_exist_are_named(answer, words):
    with pytest.raises(InvalidData, match=words) as caught:
        ascend_by_playing(Unready(answer), rounds=2, episodes=8)
    assert str(caught.value).startswith("the simulator's states at step 0")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("n_actions", (), r"n_actions is \(\)\n  Every agent needs an action"),
        ("n_actions", (2, 0), r"n_actions is \(2, 0\)\n  Every agent needs an action"),
        ("n_actions", (2, 1.5), r"n_actions\[1\] is 1.5, not a whole number"),
        ("n_actions", 2, "n_actions has shape scalar"),
        ("n_actions", None, "n_actions"),
        ("n_actions", "two", "n_actions is not an array of numbers"),
        ("n_states", 0, "n_states is 0, less than 1"),
        ("n_states", None, "n_states is None"),
        ("n_states", 2.5, "n_states is 2.5"),
        ("gamma", 1.0, "gamma is 1"),
        ("gamma", -0.1, "gamma is -0.1"),
        ("gamma", np.nan, "gamma is nan"),
        ("gamma", "half", "gamma is 'half'"),
    ],
)
def test_a_simulator_of_no_game_is_named(name, value, words):
    simulator = Lamps()
    setattr(simulator, name, value)
    with pytest.raises(InvalidData, match=f"the simulator's {words}"):
        ascend_by_playing(simulator, "product", rounds=1)
