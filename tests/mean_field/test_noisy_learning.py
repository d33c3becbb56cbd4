"""Learning from draws of random rewards (Algorithm 10)."""

import numpy as np
import pytest

from eqsolve.errors import InvalidData, InvalidGame, UnknownName
from eqsolve.mdp import optimality_gap
from eqsolve.mean_field import StochasticReward
from eqsolve.mean_field.learning.noisy_learning import estimated_game, learn_noisy, mean_of_draws, reward_loss
from eqsolve.mean_field.processes.surrogate import surrogate_mdp
from tests.mean_field import oracle
from tests.mean_field.games import noisy, random_local, small_game


def loss(game, policy):
    """The exact loss in the k-surrogate with expected rewards, in the worst state."""
    mdp = surrogate_mdp(game, policy.k, policy.local_policy)
    rows = policy.global_rows(game.n_global_actions)
    here = np.repeat(game.global_available[:, None, :], rows.shape[1], axis=1)
    return optimality_gap(mdp, rows[here], everywhere=True).upper


@pytest.mark.parametrize("shape", ["plain", "ragged", "two types"])
@pytest.mark.parametrize("draws", [3, 200])
def test_the_loss_is_within_its_bound(shape, draws):
    game = noisy(small_game(shape, seed=2, gamma=0.6))
    local = random_local(np.random.default_rng(0), game)
    for seed in range(3):
        answer = learn_noisy(game, 2, local, draws, rng=np.random.default_rng(seed))
        assert (answer.draws, answer.rounds) == (draws, 0)
        assert loss(game, answer.policy) <= answer.loss.value + 2e-6 / 0.4
    sure = learn_noisy(game, 2, local, 10**9, rng=np.random.default_rng(0))
    assert loss(game, sure.policy) <= sure.loss.value + 1e-5
    assert sure.loss.value < 0.01


def test_rewards_that_are_certain_are_known_after_one_draw():
    game = noisy(small_game("plain", seed=1), 0.0)
    local = random_local(np.random.default_rng(1), game)
    answer = learn_noisy(game, 2, local, 1, rng=np.random.default_rng(0))
    assert loss(game, answer.policy) < 1e-4
    best, _ = oracle.optimal_values(game, 2, local)
    assert answer.values == pytest.approx(best, abs=1e-5)
    plain = small_game("plain", seed=1)
    assert reward_loss(plain, 1).value == 0.0
    same = estimated_game(plain, 1, np.random.default_rng(0))
    assert (same.global_reward == plain.global_reward).all()


def test_the_means_of_draws_have_the_right_law():
    game = noisy(small_game("plain", seed=3), 0.5)
    rng = np.random.default_rng(0)
    means = np.array([estimated_game(game, 25, rng).local_reward for _ in range(400)])
    centre, spread = means.mean(axis=0), means.std(axis=0)
    assert np.abs(centre - game.local_reward).max() < 5 * 0.5 / np.sqrt(25 * 400)
    assert spread == pytest.approx(0.5 / 5, rel=0.25)
    again = [estimated_game(game, 25, np.random.default_rng(3)).global_reward for _ in range(2)]
    assert again[0].tobytes() == again[1].tobytes()


def test_the_bound_is_hoeffdings_over_all_entries():
    game = noisy(small_game("plain", seed=3), 0.5)
    width = game.global_noise.width + game.local_noise.width
    entries = 3 * 2 + 3 * 3 * 2
    off = width * np.sqrt(np.log(2 * entries / 0.05) / (2 * 70))
    assert reward_loss(game, 70, 0.05).value == pytest.approx(2 * off / (1 - game.gamma), rel=1e-12)


@pytest.mark.parametrize("shape", ["two states", "ragged"])
def test_the_papers_form_is_near_the_values_and_never_at_rest(shape):
    game = noisy(small_game(shape, seed=4, gamma=0.5), 0.3)
    local = random_local(np.random.default_rng(2), game)
    answer = learn_noisy(game, 2, local, 60, rng=np.random.default_rng(0), variant="paper", m=30, rounds=40)
    best, _ = oracle.optimal_values(game, 2, local)
    assert np.abs(answer.values - best).max() < 0.3
    assert loss(game, answer.policy) < 0.3
    assert answer.rounds == 40
    assert answer.change > 1e-3
    assert answer.loss.value is None
    assert "drawn anew" in answer.loss.failed[0]
    answer.policy.check(game)
    calm = learn_noisy(noisy(game, 0.0), 2, local, 2_000, rng=np.random.default_rng(0), variant="paper", m=50, rounds=30)
    assert np.abs(calm.values - best).max() < 0.05


def test_the_draws_that_the_paper_asks_for_are_too_few():
    """What Lemma F.4 needs is the square of what it says, and more."""
    game = noisy(small_game("two states", seed=4, gamma=0.5), 1.0)
    local = game.uniform_local()
    printed = learn_noisy(game, 2, local, rng=np.random.default_rng(0), variant="paper", m=1, rounds=1).draws
    needed = learn_noisy(game, 2, local, rng=np.random.default_rng(0)).draws
    R = game.global_noise.width + game.local_noise.width
    assert printed == int(np.ceil(10 * R * 2**0.25 * np.sqrt(np.log(200 * np.sqrt(2)))))
    assert needed == int(np.ceil(100 * 2 * R**2 * np.log(200 * np.sqrt(2))))
    wanted = 1 / np.sqrt(200 * 2)
    assert R * np.sqrt(np.log(200 * np.sqrt(2)) / (2 * printed)) > 5 * wanted  # Hoeffding's half width
    assert R * np.sqrt(np.log(200 * np.sqrt(2)) / (2 * needed)) <= wanted + 1e-12


def test_bad_input_is_refused():
    game = noisy(small_game("plain", seed=1))
    local, rng = game.uniform_local(), np.random.default_rng(0)
    with pytest.raises(InvalidGame, match="outside the declared range"):
        StochasticReward([[0.0, 3.0]], [0.5, 0.5], 0.0, 2.0)
    noise = StochasticReward([[0.0, 2.0]], [0.5, 0.5], 0.0, 2.0)
    with pytest.raises(InvalidData, match=r"draws\[1, 0\] is 2.5, outside the declared range \[0, 2\]"):
        mean_of_draws(noise, [[1.0], [2.5]])
    with pytest.raises(InvalidData, match="draws is empty"):
        mean_of_draws(noise, np.zeros((0, 1)))
    with pytest.raises(InvalidData, match="draws has shape"):
        mean_of_draws(noise, [[1.0, 1.0]])
    with pytest.raises(InvalidData, match="draws is 0"):
        learn_noisy(game, 1, local, 0, rng=rng)
    with pytest.raises(InvalidData, match="k is 7, more than 6"):
        learn_noisy(game, 7, local, rng=rng)
    with pytest.raises(InvalidData, match="failure is 1"):
        learn_noisy(game, 1, local, 5, rng=rng, failure=1.0)
    with pytest.raises(InvalidData, match="rounds is 0"):
        learn_noisy(game, 1, local, 5, rng=rng, variant="paper", rounds=0)
    with pytest.raises(UnknownName, match="unknown variant 'fast'"):
        learn_noisy(game, 1, local, rng=rng, variant="fast")
    with pytest.raises(InvalidData, match="local_policy"):
        learn_noisy(game, 1, local[:1], rng=rng)
    from eqsolve.mean_field.generators import warehouse

    big = warehouse(100)
    with pytest.raises(InvalidData, match=r"k = 20 needs(.|\n)*largest k that fits"):
        learn_noisy(big, 20, big.uniform_local(), 5, rng=rng, variant="paper", rounds=1)
