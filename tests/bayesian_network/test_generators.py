"""Standard games against the literature, and against simulations of what they say they are."""

from __future__ import annotations

from itertools import combinations, pairwise, product

import numpy as np
import pytest
from scipy import sparse

from eqsolve.bayesian_network import (
    climbing_game,
    coordination_line,
    penalty_game,
    random_cooperative,
    random_factored,
    search_mission,
)
from eqsolve.bayesian_network.generators import GENERATORS, MOVES
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidGame


def test_the_penalty_game_of_the_literature():
    game = penalty_game()
    assert game.joint_reward().tolist() == [[[10, 0, -10], [0, 2, 0], [-10, 0, 10]]]
    assert (game.n_states, game.n_actions, game.gamma) == (1, (3, 3), 0.0)
    assert penalty_game(-100.0).joint_reward()[0, 0].tolist() == [10, 0, -100]
    assert penalty_game(0).joint_reward()[0].tolist() == [[10, 0, 0], [0, 2, 0], [0, 0, 10]]


@pytest.mark.parametrize("agents", [3, 4])
def test_the_penalty_game_of_more_agents(agents):
    reward = penalty_game(-7.0, agents).joint_reward()[0]
    assert reward.shape == (3,) * agents
    for joint in np.ndindex(reward.shape):
        left, safe, right = (joint.count(a) for a in range(3))
        if left and right:
            wanted = -7.0
        elif agents in (left, right):
            wanted = 10.0
        else:
            wanted = 2.0 if safe == agents else 0.0
        assert reward[joint] == wanted


def test_the_climbing_game_of_the_literature():
    game = climbing_game()
    assert game.joint_reward().tolist() == [[[11, -30, 0], [-30, 7, 6], [0, 0, 5]]]
    assert (game.n_states, game.gamma) == (1, 0.0)


def test_agents_on_a_line_are_paid_for_doing_alike():
    game = coordination_line(5, 3, noise=0.0, gamma=0.5)
    reward = game.joint_reward()[0]
    for joint in np.ndindex(reward.shape):
        assert reward[joint] == sum(a == b for a, b in pairwise(joint))
    assert [one.agents for one in game.reward] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert game.gamma == 0.5
    noisy = coordination_line(300, 5, noise=0.2, seed=1)
    noise = np.array([one.table[0] - np.eye(5) for one in noisy.reward])
    assert noise.std() == pytest.approx(0.2, rel=0.05)  # of 7,475 normal numbers: three standard errors are 2.5 %
    assert abs(noise.mean()) < 0.01
    assert noisy.n_joint == 5**300


def simulated(drones, width, height, wind, collision, chance):
    """Kernel and reward of the search mission by its own words, one state, joint action and outcome of the wind at a time."""
    cells = [(y, x) for y in range(height) for x in range(width)]
    states, joints = list(product(range(len(cells)), repeat=drones)), list(product(MOVES.values(), repeat=drones))
    number = {state: k for k, state in enumerate(states)}
    P, r = np.zeros((len(states), len(joints), len(states))), np.zeros((len(states), len(joints)))
    for s, state in enumerate(states):
        for a, moves in enumerate(joints):
            aimed = []
            for at, (down, right) in zip(state, moves, strict=True):
                y, x = cells[at][0] + down, cells[at][1] + right
                inside = 0 <= y < height and 0 <= x < width
                aimed.append(cells.index((y, x)) if inside else at)
            r[s, a] = sum(chance[cell] for cell in set(aimed)) - collision * sum(p == q for p, q in combinations(aimed, 2))
            for kept in product((False, True), repeat=drones):
                end = tuple(at if stays else cell for at, cell, stays in zip(state, aimed, kept, strict=True))
                P[s, a, number[end]] += np.prod([wind if stays else 1 - wind for stays in kept])
    return P, r


@pytest.mark.parametrize(
    ("drones", "width", "height", "more"),
    [
        (2, 2, 2, {}),
        (2, 2, 2, {"wind": 0.3, "collision": 0.25, "seed": 5}),
        (1, 3, 2, {"seed": 2}),
        (2, 3, 1, {}),
        (3, 2, 1, {"wind": 0}),
    ],
)
def test_the_search_mission_does_what_it_says(drones, width, height, more):
    game = search_mission(drones, width, height, **more)
    scout = search_mission(1, width, height, seed=more.get("seed", 0))
    chance = scout.joint_reward()[:, list(MOVES).index("stay")]
    assert chance.sum() == pytest.approx(1.0, abs=1e-12)
    assert chance.min() > 0
    P, r = simulated(drones, width, height, more.get("wind", 0.1), more.get("collision", 1.0), chance)
    assert game.joint_reward().reshape(r.shape) == pytest.approx(r, abs=1e-14)
    assert game.joint_kernel().toarray().reshape(P.shape) == pytest.approx(P, abs=1e-14)


def test_the_search_mission_has_names():
    game = search_mission(2, 2, 2, gamma=0.75)
    assert game.gamma == 0.75
    assert game.n_states == 16
    assert sparse.issparse(game.kernel)
    assert game.states[:6] == ("00/00", "00/01", "00/10", "00/11", "01/00", "01/01")
    assert game.agents == ("drone 0", "drone 1")
    assert game.actions == (("stay", "north", "south", "west", "east"),) * 2
    assert search_mission(1, 11, 2).states[12] == "1:1"


def test_random_games_have_the_size_that_was_asked_for():
    game = random_cooperative(4, (2, 1, 3), gamma=0.5, seed=1)
    assert (game.n_states, game.n_actions, game.gamma) == (4, (2, 1, 3), 0.5)
    assert game.joint_reward().min() >= 0
    assert game.joint_reward().max() <= 1
    assert game.initial.sum() == pytest.approx(1, abs=1e-12)
    assert game.initial.min() > 0
    assert game.joint_kernel().shape == (24, 4)
    assert game.joint_kernel().min() > 0
    for successors in (1, 3):
        few = random_cooperative(6, (2, 2), successors=successors)
        assert sparse.issparse(few.kernel)
        assert np.diff(few.kernel.indptr).tolist() == [successors] * 24
    assert not sparse.issparse(random_cooperative(3, (2, 2), successors=3).kernel)
    assert random_cooperative(1, (2, 2)).kernel is None


def test_random_factored_games_look_through_windows():
    game = random_factored(3, (2, 3, 2, 1), scope=2, gamma=0.5, seed=1)
    assert [one.agents for one in game.reward] == [one.agents for one in game.moves] == [(0, 1), (1, 2), (2, 3)]
    assert (game.n_states, game.n_actions, game.gamma, game.is_factored) == (3, (2, 3, 2, 1), 0.5, True)
    assert game.joint_kernel().sum(axis=1) == pytest.approx(np.ones(36), abs=1e-12)
    assert all(0 <= one.table.min() <= one.table.max() <= 1 for one in game.reward)
    assert [one.agents for one in random_factored(2, (2, 2), scope=5).reward] == [(0, 1)]
    assert random_factored(1, (2,) * 4, scope=1).n_states == 1


SEEDED = {
    "coordination_line": lambda seed: coordination_line(4, seed=seed),
    "search_mission": lambda seed: search_mission(2, 2, 2, seed=seed),
    "random_cooperative": lambda seed: random_cooperative(seed=seed),
    "random_cooperative, sparse": lambda seed: random_cooperative(6, successors=2, seed=seed),
    "random_factored": lambda seed: random_factored(seed=seed),
}


@pytest.mark.parametrize("make", SEEDED.values(), ids=SEEDED)
def test_one_seed_one_game(make):
    first, again, other = (to_bytes(make(seed)) for seed in (3, 3, 4))
    assert first == again != other
    assert to_bytes(make(np.int64(3))) == first
    for bad in (-1, 0.5, "x", None, True):
        with pytest.raises(InvalidGame, match="seed is"):
            make(bad)


def test_generators_go_by_their_names():
    for name, make in GENERATORS.items():
        assert make.__name__ == name
        assert make().n_joint > 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: penalty_game(1.0), "k is 1, a penalty above 0"),
        (lambda: penalty_game(np.nan), "k is nan"),
        (lambda: penalty_game(agents=1), "agents is 1, less than 2"),
        (lambda: penalty_game(agents=13), "agents is 13, more than 12"),
        (lambda: penalty_game(agents=2.5), "agents is 2.5, not a whole number"),
        (lambda: coordination_line(1), "agents is 1, less than 2"),
        (lambda: coordination_line(3, 0), "actions is 0, less than 1"),
        (lambda: coordination_line(3, noise=-1), "noise is -1, not at least 0"),
        (lambda: coordination_line(3, gamma=1), "gamma is 1"),
        (lambda: search_mission(0), "drones is 0"),
        (lambda: search_mission(width=0), "width is 0"),
        (lambda: search_mission(height=-1), "height is -1"),
        (lambda: search_mission(wind=1.0), "wind is 1, not at least 0 and below 1"),
        (lambda: search_mission(wind=-0.1), "wind is -0.1"),
        (lambda: search_mission(collision=-1), "collision is -1"),
        (lambda: search_mission(gamma=1.0), "gamma is 1"),
        (lambda: search_mission(5), "5 drones over 9 cells make 59,049 states and 3,125 joint actions\n  At most 50,000,000"),
        (lambda: search_mission(10_000), r"make 2.7e\+9542 states"),
        (lambda: random_cooperative(0), "states is 0"),
        (lambda: random_cooperative(2, (2, 0)), r"n_actions\[1\] is 0"),
        (lambda: random_cooperative(2, ()), "n_actions is empty"),
        (lambda: random_cooperative(2, 3), "n_actions has shape scalar"),
        (lambda: random_cooperative(2, successors=-1), "successors is -1"),
        (lambda: random_cooperative(10, (10,) * 7), "10 states and 10,000,000 joint actions make 1,000,000,000 transitions"),
        (lambda: random_cooperative(2, (2,) * 20_000), r"make 1.6e\+6021 transitions"),
        (lambda: random_factored(scope=0), "scope is 0"),
        (lambda: random_factored(0), "states is 0"),
        (lambda: random_factored(2, ()), "n_actions is empty"),
        (lambda: random_factored(2, (2, 0)), r"n_actions\[1\] is 0"),
        (lambda: random_factored(2, gamma=-1), "gamma is -1"),
    ],
)
def test_bad_parameters_are_refused(make, words):
    with pytest.raises(InvalidGame, match=words):
        make()
