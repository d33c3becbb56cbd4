"""Policy gradient from episodes: exact expectations over all episodes, sampled ones, games without a model, bad simulators."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eqsolve
from eqsolve.backends import Limits
from eqsolve.bayesian_network import (
    BayesianNetwork,
    CooperativeMarkovGame,
    InvalidNetwork,
    InvalidPolicy,
    nash_gap,
    penalty_game,
    random_cooperative,
)
from eqsolve.bayesian_network.layout import Layout
from eqsolve.bayesian_network.reinforce import Reinforce, ascend_by_playing, sampled_value_gradient
from eqsolve.bayesian_network.simulation import Episodes, ModelSimulator, horizon_for, play_episodes
from eqsolve.driver import Checkpoints, Result, Run, Status
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData, UnknownName
from tests.bayesian_network import oracle
from tests.bayesian_network.games import FORMS, Dense, random_game, random_network, random_policy
from tests.bayesian_network.methods import LAM, ByHand, Lamps, game, logits_of, network_of, rescaled, scale_of

NETWORKS = ("product", "chain", "dense", "random")
ERRORS = 4.5
"""Standard errors that a mean may be off."""


def network_for(one, name, seed=1):
    return random_network(np.random.default_rng(seed), one.n_agents, 0.6) if name == "random" else network_of(one, name)


# What the estimate is to be on average


@dataclass(frozen=True)
class CutShort(Dense):
    """A game that ends after so many steps."""

    T: int

    def value(self, joint):
        P, r = np.einsum("sa,sat->st", joint, self.P), (joint * self.r).sum(axis=1)
        v = np.zeros(len(P))
        for _ in range(self.T):
            v = r + self.gamma * P @ v
        return self.initial @ v


def cut_short(one, network, T, lam=0.0):
    """L_lambda of the game that ends after T steps."""
    by_hand = ByHand(one, network, lam)
    by_hand.dense = CutShort(**vars(by_hand.dense), T=T)
    return by_hand


def all_episodes(one, policy, T):
    """Probabilities (K,), and all K episodes of T steps, of states and joint actions by enumeration."""
    pi, P, R = oracle.probabilities(one, policy), oracle.transitions(one), oracle.rewards(one)
    steps = list(product(range(one.n_states), range(one.n_joint)))
    chance, states, actions, rewards = [], [], [], []
    for path in product(steps, repeat=T):
        p = one.initial[path[0][0]]
        for t, (s, a) in enumerate(path):
            p *= pi[s, a] * (P[s, a, path[t + 1][0]] if t + 1 < T else 1.0)
        chance.append(p)
        states.append([s for s, _ in path])
        actions.append([oracle.joint_actions(one)[a] for _, a in path])
        rewards.append([R[s, a] for s, a in path])
    assert sum(chance) == pytest.approx(1.0)
    found = Episodes(np.array(states).T, np.array(actions).transpose(1, 0, 2), np.array(rewards).T, one.gamma)
    return np.array(chance), found


def some_of(episodes, chosen):
    return Episodes(episodes.states[:, chosen], episodes.actions[:, chosen], episodes.rewards[:, chosen], episodes.gamma)


def laid_out(one, policy):
    layout = Layout(policy.network, one.n_states, one.n_actions)
    return layout, layout.flatten(policy.tables)


ENUMERABLE = {
    "two states": (lambda: random_cooperative(2, (2, 2), gamma=0.7, seed=1), ("chain",)),
    "three agents": (lambda: random_cooperative(1, (2, 2, 2), gamma=0.5, seed=2), ("product", "dense", "random")),
    "ragged": (lambda: random_cooperative(2, (1, 3), gamma=0.9, seed=3), ("product",)),
}
EXACT = [(name, network) for name, (_, some) in ENUMERABLE.items() for network in some]


@pytest.mark.parametrize(("name", "network"), EXACT)
def test_the_estimate_is_unbiased_over_all_episodes_with_and_without_a_baseline(name, network):
    """The expectation is a sum over all pairs of episodes: exact, with baselines of one other episode or of none at all."""
    one = ENUMERABLE[name][0]()
    net = network_for(one, network)
    policy = random_policy(np.random.default_rng(5), net, one.n_states, one.n_actions)
    layout, probability = laid_out(one, policy)
    chance, episodes = all_episodes(one, policy, 2)
    want = cut_short(one, net, 2).gradient(logits_of(policy))
    assert np.abs(want).max() > 1e-3
    alone = [sampled_value_gradient(layout, probability, some_of(episodes, [k])) for k in range(len(chance))]
    assert chance @ np.array(alone) == pytest.approx(want, abs=1e-13)
    total = np.zeros(layout.size)
    for k, p in enumerate(chance):
        for j in range(k + 1):  # the estimate does not depend on the order of the two
            both = some_of(episodes, [k, j])
            total += (1 if j == k else 2) * p * chance[j] * sampled_value_gradient(layout, probability, both)
            if j % 20 == 0:
                plain = sampled_value_gradient(layout, probability, both, baseline=False)
                assert plain == pytest.approx((alone[k] + alone[j]) / 2, abs=1e-14)
    assert total == pytest.approx(want, abs=1e-13)


def batches(one, policy, *, n, batch, T, seed, baseline=True):
    """(n / batch, D) estimates from n episodes."""
    layout, probability = laid_out(one, policy)
    episodes = play_episodes(ModelSimulator(one), policy, np.random.default_rng(seed), n, T)
    parts = np.arange(n).reshape(-1, batch)
    return np.array([sampled_value_gradient(layout, probability, some_of(episodes, part), baseline=baseline) for part in parts])


@pytest.mark.parametrize(
    ("name", "network"),
    [
        *(("factored", network) for network in NETWORKS),
        ("dense", "dense"),
        ("sparse", "chain"),
        ("ragged", "random"),
        ("one state", "product"),
        ("unreachable", "dense"),
    ],
)
def test_the_mean_of_many_batches_is_the_gradient_of_the_game_that_ends_with_the_episode(name, network):
    one = game(name)
    net = network_for(one, network)
    policy = random_policy(np.random.default_rng(6), net, one.n_states, one.n_actions)
    want = cut_short(one, net, 7).gradient(logits_of(policy))
    found = batches(one, policy, n=4000, batch=5, T=7, seed=8)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert np.linalg.norm(want) > 10 * ERRORS * 1e-3
    assert (np.abs(found.mean(axis=0) - want) <= ERRORS * error + 1e-12).all()
    assert np.linalg.norm(want) > 2 * np.linalg.norm(found.mean(axis=0) - want)  # the test sees something


@pytest.mark.parametrize(
    ("name", "network"),
    [("dense", "product"), ("dense", "dense"), ("sparse", "chain"), ("factored", "random"), ("one state", "dense")],
)
def test_the_baseline_lowers_the_variance_and_takes_a_constant_out_of_the_rewards(name, network):
    one = game(name)
    net = network_for(one, network)
    policy = random_policy(np.random.default_rng(6), net, one.n_states, one.n_actions)

    def variance(each, baseline):
        return float(batches(each, policy, n=3200, batch=32, T=6, seed=9, baseline=baseline).var(axis=0).sum())

    with_it, without, shifted = variance(one, True), variance(one, False), variance(rescaled(one, 1.0, 50.0), True)
    assert with_it < 0.7 * without
    # States that no other episode is in have no baseline, and none of the first step has it otherwise.
    assert shifted < 0.1 * variance(rescaled(one, 1.0, 50.0), False)
    if one.n_states == 1:
        assert shifted == pytest.approx(with_it, rel=1e-9)


@pytest.mark.parametrize("network", ["product", "dense"])
@pytest.mark.parametrize("name", ["dense", "factored", "one state", "no future"])
def test_what_is_cut_off_biases_the_gradient_by_no_more_than_the_visits_that_are_left(name, network):
    r"""Of rewards within :math:`\pm R`: :math:`\gamma^T (T + 1 / (1 - \gamma)) R / (1 - \gamma)` per entry."""
    one = game(name)
    net = network_of(one, network)
    logits = logits_of(random_policy(np.random.default_rng(6), net, one.n_states, one.n_actions))
    whole = ByHand(one, net, 0.0).gradient(logits)
    low, high = one.reward_range
    for T in (1, 2, 5, 10, horizon_for(one.gamma), horizon_for(one.gamma, 1e-12)):
        bias = np.abs(cut_short(one, net, T).gradient(logits) - whole).max()
        assert bias <= one.gamma**T * (T + 1 / (1 - one.gamma)) * (high - low) / 2 / (1 - one.gamma) + 1e-14
    assert bias <= 1e-9 * np.abs(whole).max()
    assert np.abs(cut_short(one, net, horizon_for(one.gamma)).gradient(logits) - whole).max() <= 0.02 * np.abs(whole).max()


@given(st.floats(0.0, 0.9999), st.floats(1e-9, 0.999))
def test_an_episode_is_just_so_long_that_no_more_than_the_share_is_left(gamma, share):
    T = horizon_for(gamma, share)
    assert T >= 1
    assert gamma**T <= share * (1 + 1e-9)
    assert T == 1 or gamma ** (T - 1) > share * (1 - 1e-9)


# Episodes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(2))
def test_the_model_is_played_by_its_own_chances(seed, form):
    rng = np.random.default_rng([seed, FORMS.index(form)])
    one, dense = random_game(rng, form)
    simulator, n = ModelSimulator(one), 3000
    assert (simulator.n_states, simulator.n_actions, simulator.gamma) == (one.n_states, one.n_actions, one.gamma)
    began = simulator.reset(rng, 20 * n)
    assert_frequencies(began, one.initial)
    for s in range(one.n_states):
        k = int(rng.integers(one.n_joint))
        actions = np.tile(np.unravel_index(k, one.n_actions), (n, 1))
        reward, following = simulator.play(rng, np.full(n, s), actions)
        assert reward == pytest.approx(np.full(n, dense.r[s, k]), abs=1e-12)
        assert_frequencies(following, dense.P[s, k])


def assert_frequencies(drawn, p):
    share = np.bincount(drawn, minlength=len(p)) / len(drawn)
    assert len(share) == len(p)
    assert (share[p == 0] == 0).all()
    assert (np.abs(share - p) <= ERRORS * np.sqrt(p * (1 - p) / len(drawn)) + 1e-12).all()


def test_episodes_are_what_the_simulator_and_the_policy_say():
    one = game("dense")
    policy = random_policy(np.random.default_rng(1), network_of(one, "chain"), one.n_states, one.n_actions)
    played = play_episodes(ModelSimulator(one), policy, np.random.default_rng(2), 11, 5)
    assert (played.states.shape, played.actions.shape, played.rewards.shape) == ((5, 11), (5, 11, 2), (5, 11))
    R = oracle.rewards(one).reshape(one.n_states, *one.n_actions)
    assert np.array_equal(played.rewards, R[(played.states, *np.moveaxis(played.actions, -1, 0))])
    by_hand = [[sum(one.gamma**u * played.rewards[u, e] for u in range(t, 5)) for e in range(11)] for t in range(5)]
    assert played.returns() == pytest.approx(np.array(by_hand), abs=1e-14)
    mean = play_episodes(ModelSimulator(one), policy, np.random.default_rng(3), 20_000, 40).returns()[0]
    assert abs(mean.mean() - oracle.value(one, policy)) <= ERRORS * mean.std() / np.sqrt(len(mean)) + 0.8**40 / 0.2


@pytest.mark.parametrize(("episodes", "length"), [(10**6, 10**4), (1, 10**13), (10**13, 1)])
def test_episodes_that_memory_does_not_hold_are_refused(episodes, length):
    policy = random_policy(np.random.default_rng(1), BayesianNetwork.chain(2), 2, (2, 2))
    with pytest.raises(InvalidData, match=f"{episodes:,} episodes of {length:,} steps make .* numbers\n  At most"):
        play_episodes(Lamps(), policy, np.random.default_rng(0), episodes, length)
    patient = CooperativeMarkovGame((2, 2), None, np.eye(2)[None], 1 - 1e-9)
    with pytest.raises(InvalidData, match=r"256 episodes of .* steps make .* numbers"):
        eqsolve.solve(patient, Reinforce("chain"), limits=Limits(iterations=1))


@pytest.mark.parametrize(
    ("sizes", "S", "words"), [((2, 2), 3, "3 states and actions"), ((2, 3), 2, "2 states"), ((2, 3, 1), 3, "another game")]
)
def test_a_policy_of_another_game_is_not_played(sizes, S, words):
    other = random_policy(np.random.default_rng(1), BayesianNetwork.chain(len(sizes)), S, sizes)
    with pytest.raises(InvalidPolicy, match=words):
        play_episodes(ModelSimulator(game("dense")), other, np.random.default_rng(0), 4, 2)


# The ascent


@pytest.mark.parametrize("network", ["product", "random"])
def test_a_step_leads_along_the_gradient_of_the_objective_on_average(network):
    one = game("dense")
    net, T, lam = network_for(one, network), 6, 0.7
    algorithm = Reinforce(net, lam=lam, episodes=20, length=T, step_size=0.25, decay=4.0, perturb=1.0)
    begun = algorithm.init(one, Run(seed=1))
    layout = Layout(net, one.n_states, one.n_actions)
    for done in (0.0, 12.0):
        state = begun if not done else algorithm.begin(one, begun.logits, Run())
        if done:
            state = type(state)(**{name: getattr(state, name) for name in state.__slots__} | {"memory": (np.array([done]),)})
        size = 0.25 / np.sqrt(1 + done / 4.0)
        moves = []
        for seed in range(100):
            after, record = algorithm.step(one, state, Run(seed=seed))
            assert record["step"] == pytest.approx(size, rel=1e-15)
            assert after.memory[0][0] == done + 1
            moved = (after.logits - state.logits) / size
            moves.append(moved - layout.to_entries(layout.row_sums(moved) / layout.row_sizes))  # gradients sum to 0 in a row
        want = cut_short(one, net, T, lam).gradient(state.logits)
        error = np.std(moves, axis=0, ddof=1) / np.sqrt(len(moves))
        assert (np.abs(np.mean(moves, axis=0) - want) <= ERRORS * error + 1e-12).all()
        assert np.linalg.norm(want) > 2 * np.linalg.norm(np.mean(moves, axis=0) - want)


@pytest.mark.parametrize("network", ["product", "chain", "dense"])
def test_it_ends_at_a_certified_policy_of_the_penalty_game(network):
    one = penalty_game(-10.0)
    result = eqsolve.solve(one, Reinforce(network, lam=LAM, rounds=300))
    assert result.status is Status.CONVERGED
    gap = max(oracle.agent_gain(one, result.policy, i) for i in range(2))
    assert result.gap.upper == pytest.approx(gap, abs=1e-10)
    assert gap <= 0.05 * 20
    assert result.optimality.upper == pytest.approx(10.0 - result.value, abs=1e-9)
    assert result.value == pytest.approx(oracle.value(one, result.policy), abs=1e-12)
    assert result.value >= 9.0
    assert result.iterations == 300
    assert result.state.objective == pytest.approx(ByHand(one, result.policy.network, LAM)(result.state.logits), abs=1e-10)
    kept = ByHand(one, result.policy.network, LAM)(logits_of(result.policy))
    assert kept == pytest.approx(result.history["objective"].max(), abs=1e-9)


@pytest.mark.parametrize("name", ["factored", "ragged"])
def test_its_gap_closes_in_games_with_states(name):
    one = game(name)
    start = eqsolve.solve(one, Reinforce("chain", lam=LAM), limits=Limits(iterations=0))
    result = eqsolve.solve(one, Reinforce("chain", lam=LAM, rounds=100, episodes=80, length=12, accuracy=0.1))
    assert result.status is Status.CONVERGED
    assert result.gap.upper <= 0.1 * scale_of(one)
    assert result.gap.upper < 0.5 * start.gap.upper
    assert result.gap.upper == pytest.approx(max(oracle.agent_gain(one, result.policy, i) for i in range(one.n_agents)), abs=1e-9)


def test_what_the_certificate_does_not_bear_out_is_refuted():
    result = eqsolve.solve(penalty_game(), Reinforce("chain", lam=LAM, rounds=5, accuracy=1e-9))
    assert result.status is Status.REFUTED
    assert result.gap.upper > 2e-8
    assert "an agent gains" in result.reason
    assert "more than 2e-08" in result.reason


@pytest.mark.parametrize("size", [1e3, 1e100, 1e308])
def test_absurd_steps_end_without_a_word_of_numpy(size):
    result = eqsolve.solve(game("dense"), Reinforce("chain", lam=LAM, rounds=4, episodes=8, step_size=size, keep="gap"))
    assert result.status in (Status.CONVERGED, Status.REFUTED)
    assert 0 <= result.gap.upper <= scale_of(game("dense"))
    assert result.value == pytest.approx(oracle.value(game("dense"), result.policy), abs=1e-9)


SHORT = {"lam": LAM, "rounds": 12, "episodes": 16}


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    one = game("dense")
    first, same, other = (eqsolve.solve(one, Reinforce("chain", **SHORT), seed=seed) for seed in (1, 1, 2))
    assert first.gap == same.gap
    assert to_bytes((first.state, first.policy)) == to_bytes((same.state, same.policy))
    assert first.history["objective"].tobytes() == same.history["objective"].tobytes()
    assert to_bytes(first.policy) != to_bytes(other.policy)
    unlike = Reinforce("chain", **SHORT, baseline=False)
    assert to_bytes(eqsolve.solve(one, unlike, seed=1).policy) != to_bytes(first.policy)


def test_every_round_plays_episodes_of_its_own():
    one = game("dense")
    algorithm = Reinforce("chain", **SHORT)
    state = algorithm.init(one, Run())
    ends = {algorithm.step(one, state, Run(seed=seed, iteration=k))[0].logits.tobytes() for seed in (0, 1) for k in range(5)}
    assert len(ends) == 10


def test_a_resumed_ascent_is_the_uninterrupted_one_bit_for_bit(tmp_path):
    one, algorithm = game("sparse"), Reinforce("dense", **SHORT, keep="gap")
    whole = eqsolve.solve(one, algorithm, seed=3)
    for cut in (0, 1, 5, 11):
        asked = Checkpoints(tmp_path / "run", seconds=0.0, resume=cut > 0)
        part = eqsolve.solve(one, algorithm, seed=3, limits=Limits(iterations=cut), checkpoint=asked)
        assert (part.status, part.iterations) == (Status.OUT_OF_ITERATIONS, cut)
        assert part.gap == nash_gap(one, part.policy)
    again = eqsolve.solve(one, algorithm, seed=3, checkpoint=Checkpoints(tmp_path / "run", resume=True))
    assert any("iteration 11" in note for note in again.provenance.notes)
    assert again.history.equals(whole.history)
    assert to_bytes((again.state, again.policy)) == to_bytes((whole.state, whole.policy))
    assert (again.gap, again.status, again.value, again.reason) == (whole.gap, whole.status, whole.value, whole.reason)
    assert to_bytes(Result.load(whole.save(tmp_path / "kept")).state) == to_bytes(whole.state)


def test_ctrl_c_hands_back_what_was_reached():
    def stop(iteration, record):
        if iteration == 4:
            raise KeyboardInterrupt

    result = eqsolve.solve(game("dense"), Reinforce("chain", **SHORT), progress=stop)
    cut = eqsolve.solve(game("dense"), Reinforce("chain", **SHORT), limits=Limits(iterations=5))
    assert (result.status, result.gap) == (Status.INTERRUPTED, cut.gap)
    assert to_bytes(result.policy) == to_bytes(cut.policy)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_gradients_of_any_episodes_sum_to_nothing_in_every_row(seed, n, T, baseline):
    rng = np.random.default_rng(seed)
    one, _ = random_game(rng)
    policy = random_policy(rng, random_network(rng, one.n_agents), one.n_states, one.n_actions)
    layout, probability = laid_out(one, policy)
    episodes = play_episodes(ModelSimulator(one), policy, rng, n, T)
    found = sampled_value_gradient(layout, probability, episodes, baseline=baseline)
    assert found.shape == (layout.size,)
    assert np.abs(layout.row_sums(found)).max() <= 1e-12 * (1 + np.abs(episodes.returns()).max())
    order = rng.permutation(n)
    assert sampled_value_gradient(layout, probability, some_of(episodes, order), baseline=baseline) == pytest.approx(
        found, abs=1e-11
    )


# Bad input

WHOLE = [(value, name) for name in ("episodes", "rounds", "length") for value in (0, -1, 1.5, True, "2", [1], np.nan, np.inf)]
REAL = [(value, name) for name in ("step_size", "decay") for value in (0, -1.0, True, "1", [1.0], np.nan, np.inf)]
OTHER = [(1, "baseline"), (None, "baseline"), ("no", "baseline"), (None, "episodes"), (None, "rounds"), (None, "decay")]


@pytest.mark.parametrize(("value", "name"), [*WHOLE, *REAL, *OTHER], ids=str)
def test_bad_parameters_are_refused_by_both(value, name):
    for make in (Reinforce, lambda **given: ascend_by_playing(Lamps(), **given)):
        with pytest.raises(InvalidData, match=f"{name} is"):
            make(**{name: value})


@pytest.mark.parametrize("accuracy", [0, -1.0, True, None, "1", np.nan, np.inf])
def test_an_accuracy_that_is_no_positive_number_is_refused(accuracy):
    with pytest.raises(InvalidData, match="accuracy is"):
        Reinforce(accuracy=accuracy)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"lam": 0}, InvalidData, "lam is 0"),
        ({"lam": np.nan}, InvalidData, "lam is nan"),
        ({"seed": -1}, InvalidData, "seed is -1"),
        ({"seed": None}, InvalidData, "seed is None"),
        ({"step_size": None}, InvalidData, "step_size is None"),
        ({"network": "dens"}, UnknownName, "network 'dens'"),
        ({"network": ((0, 5),)}, InvalidNetwork, "names agent 5, which does not exist"),
        ({"network": ((0, 1), (1, 0))}, InvalidNetwork, "cycle"),
        ({"network": BayesianNetwork.chain(3)}, InvalidNetwork, "the network has 3 agents and the game has 2"),
        ({"network": None}, InvalidNetwork, "network is None"),
    ],
    ids=str,
)
def test_bad_parameters_of_the_ascent_by_playing_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        ascend_by_playing(Lamps(), **options)


@pytest.mark.parametrize(
    ("gamma", "share"), [(1.0, 0.1), (-0.1, 0.1), (np.nan, 0.1), (0.5, 0.0), (0.5, 1.0), (0.5, None), ("a", 0.1)]
)
def test_a_horizon_needs_a_discount_and_a_share_between_0_and_1(gamma, share):
    with pytest.raises(InvalidData, match="share is" if gamma == 0.5 else "gamma is"):
        horizon_for(gamma, share)
