"""The standard games: the warehouse entry by entry and against the values of the notes, and that the others are what they tell."""

from __future__ import annotations

from itertools import product
from math import exp

import numpy as np
import pytest

from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidGame, UnknownName
from eqsolve.mean_field.generators import GENERATORS, demand_response, federated, random_game, warehouse
from tests.mean_field import games, oracle


def softmax(logits):
    weight = [exp(x) for x in logits]
    return [w / sum(weight) for w in weight]


@pytest.mark.parametrize("variant", ["paper", "authors"])
@pytest.mark.parametrize("stay", [False, True])
def test_the_warehouse_as_appendix_g_writes_it(variant, stay):
    game = warehouse(variant=variant, stay_is_a_target=stay)
    zones = range(5)
    for s, a in product(zones, zones):
        d = [3.0 * (t == a) + 0.5 * (t == s) + 0.1 for t in zones]
        assert game.global_kernel[s, a] == pytest.approx(softmax(d), abs=1e-15)
        assert game.global_reward[s, a] == (1.0 if variant == "authors" else 4 - abs(s - a))
    for s, g, a in product(zones, zones, range(3)):
        target = {0: s if stay else None, 1: (s + 1) % 5, 2: (s - 1) % 5}[a]
        f = [3.5 * (t == s) + 1.5 * (t == target) + 0.3 * (t == g) + 0.1 for t in zones]
        assert game.local_kernel[s, g, a] == pytest.approx(softmax(f), abs=1e-15)
        circ = min(abs(s - g), 5 - abs(s - g))
        base = 10.0 if s == g else 2.0 / (1 + circ)
        assert game.local_reward[s, g, a] == pytest.approx(base + (0.0, 0.5, -0.3)[a], abs=1e-15)
    assert (game.n, game.gamma, game.initial.kind) == (1000, 0.95, "dirichlet")
    assert game.initial.local.tolist() == [0.3] * 5
    assert game.initial.global_law == pytest.approx(np.full(5, 0.2))
    assert game.reward_bound == (11.5 if variant == "authors" else 14.5)


@pytest.mark.parametrize(("k", "value"), [(1, 216.384), (2, 181.511), (3, 173.074)])
def test_equal_histograms_have_other_values_for_other_k(k, value):
    """Against Theorem B.18: uniform robots, all in zone 4, priority in zone 0."""
    game = games.known("warehouse")
    found, _ = oracle.optimal_values(game, k, game.uniform_local())
    assert found[0, -1] == pytest.approx(value, abs=5e-4)


@pytest.mark.parametrize(("k", "shared", "joint"), [(1, None, 228.330), (2, 194.453, 198.393)])
def test_values_of_the_notes_from_the_initial_law(k, shared, joint):
    game = games.known("warehouse")
    if shared is not None:
        found, _ = oracle.optimal_values(game, k, game.deterministic_local(games.PI_STAR))
        assert oracle.mean_value(game, found, k) == pytest.approx(shared, abs=5e-4)
    assert oracle.mean_value(game, oracle.joint_values(game, k), k) == pytest.approx(joint, abs=5e-4)


@pytest.mark.parametrize("zones", [3, 7])
def test_other_numbers_of_zones(zones):
    game = warehouse(10, zones=zones)
    assert game.global_reward.max() == zones - 1
    assert game.global_reward.min() == 0.0
    around = game.local_reward[:, 0, 0]
    assert around[1:] == pytest.approx(around[1:][::-1])


def test_federated_learning_by_hand():
    game = federated(drift_levels=3, staleness_levels=2, participation=0.5, pull=0.8, drift=0.2, bandwidth=0.7)
    fresh, old = 2, 3  # large rate, 0 and 1 rounds old
    assert game.global_states[fresh] == "large rate, 0 rounds old"
    assert game.global_kernel[fresh, 0].tolist() == [0, 0, 0, 1]
    assert game.global_kernel[old].tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]
    assert game.global_reward[0].tolist() == [0.7, 0.0, 0.0]
    # drift 1, many steps: falls back with 0.5 * 0.8, is driven away with 0.2 * 3
    assert game.local_kernel[1, fresh, 1] == pytest.approx([0.4 * 0.4, 0.4 * 0.6 + 0.6 * 0.4, 0.6 * 0.6])
    assert game.local_kernel[1, old, 1] == pytest.approx([0.0, 0.4, 0.6])
    assert game.local_kernel[0, old, 0] == pytest.approx([0.8, 0.2, 0.0])
    assert game.local_kernel[2, fresh, 2] == pytest.approx([0.0, 0.4, 0.6])
    assert game.local_reward[:, old, 2] == pytest.approx(np.array([1.0, 0.5, 0.0]) * 1.6 / 1.5)
    assert game.local_reward[:, 0, 1] == pytest.approx(np.array([1.0, 0.5, 0.0]) * 2 * 0.75)
    assert game.has_positive_rewards


def test_demand_response_by_hand():
    game = demand_response(10, elasticity=0.25, scarce_cost=2.0, calm_cost=0.5, discontent=0.4, shares=(0.6, 0.3, 0.1))
    scarce_low, scarce_high = 2, 3
    assert game.global_states[scarce_high] == "scarce, high price"
    assert game.global_kernel[scarce_low] == pytest.approx(np.array([[0.25, 0, 0.75, 0], [0, 0.8, 0, 0.2]]))
    assert game.global_reward[0].tolist() == [0.0, -0.4]
    assert game.local_kernel[0, scarce_low, 1, :3] == pytest.approx([0.2, 0.8, 0.0])
    assert game.local_kernel[0, scarce_high, 1, :3] == pytest.approx([0.4, 0.6, 0.0])
    assert game.local_reward[1, [0, 1, 2, 3], 1] == pytest.approx([1 - 0.5, 1 - 0.75 * 0.5, 1 - 2.0, 1 - 0.75 * 2.0])
    assert game.local_reward[4, 0] == pytest.approx([0.8, 0.8 - 0.5 * 0.6, 0.8 - 0.5 * 1.4])
    assert game.local_reward[5, 0].tolist() == [1.2] * 3  # a full car takes nothing
    assert game.initial.local == pytest.approx([0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    assert (game.n_types, game.has_positive_rewards) == (3, False)


@pytest.mark.parametrize("name", ["federated", "demand_response"])
def test_what_is_best_depends_on_what_is_seen(name):
    game = games.known(name)
    local = (
        game.deterministic_local(np.full((game.n_global_states, game.n_local_states), 2))
        if name == "federated"
        else game.uniform_local()
    )
    _, q = oracle.optimal_values(game, 2, local)
    best = q.argmax(axis=-1)
    assert (best.min(axis=1) < best.max(axis=1)).any()
    assert set(best.reshape(-1).tolist()) == set(range(game.n_global_actions))


def test_random_games_have_what_is_asked_for():
    for seed in range(5):
        apart = random_game(coupling=0.0, seed=seed)
        assert (apart.local_kernel == apart.local_kernel[:, :1]).all()
        assert (apart.local_reward == apart.local_reward[:, :1]).all()
        bound = random_game(coupling=1.0, seed=seed)
        assert (bound.local_kernel != bound.local_kernel[:, ::-1])[:, 0].all()
        thin = random_game(zeros=0.7, local_states=6, types=3, ragged=True, local_actions=4, seed=seed)
        assert (thin.local_kernel == 0).mean() > 0.7
        assert thin.type_of.tolist() == [0, 0, 1, 1, 2, 2]
        assert not thin.local_available.all()
        assert 0 <= thin.reward_range[0] <= thin.reward_range[1] <= 2
    assert to_bytes(random_game(seed=3)) == to_bytes(random_game(seed=3))
    assert to_bytes(random_game(seed=3)) != to_bytes(random_game(seed=4))
    kernel = random_game(concentration=0.05, local_states=4).local_kernel
    assert kernel.max(axis=-1).mean() > random_game(concentration=20.0, local_states=4).local_kernel.max(axis=-1).mean() + 0.2


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_works_as_it_is(name):
    game = GENERATORS[name]()
    assert game.n >= 20
    assert game.local_kernel.sum(axis=-1) == pytest.approx(np.ones(game.local_kernel.shape[:-1]))
    assert GENERATORS[name](7).n == 7


@pytest.mark.parametrize(
    ("make", "given", "match"),
    [
        (warehouse, {"n": 0}, "n is 0"),
        (warehouse, {"zones": 2}, "zones is 2"),
        (warehouse, {"gamma": 1.0}, "gamma is 1"),
        (warehouse, {"concentration": 0.0}, "concentration is 0"),
        (federated, {"drift_levels": 1}, "drift_levels is 1"),
        (federated, {"staleness_levels": 1}, "staleness_levels is 1"),
        (federated, {"participation": 1.5}, "participation is 1.5"),
        (federated, {"drift": 0.4}, "drift is 0.4, more than 1/3"),
        (federated, {"bandwidth": -1.0}, "bandwidth is -1"),
        (demand_response, {"shares": (0.5, 0.4, 0.2)}, "not three numbers of sum 1"),
        (demand_response, {"shares": (0.5, 0.5)}, "not three numbers of sum 1"),
        (demand_response, {"shares": (0.5, 0.5, 0.0)}, "shares\\[2\\] is 0"),
        (demand_response, {"elasticity": -0.1}, "elasticity is -0.1"),
        (random_game, {"types": 4}, "types is 4, more than 3"),
        (random_game, {"coupling": 1.1}, "coupling is 1.1"),
        (random_game, {"zeros": 1.0}, "zeros is 1"),
        (random_game, {"seed": -1}, "seed is -1"),
    ],
)
def test_refused(make, given, match):
    with pytest.raises(InvalidGame, match=match):
        make(**given)


def test_unknown_variants():
    with pytest.raises(UnknownName, match="'author'"):
        warehouse(variant="author")
