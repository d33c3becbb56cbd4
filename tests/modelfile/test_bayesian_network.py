"""Model files of cooperative games and of the algorithms over Bayesian networks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from eqsolve.bayesian_network import CooperativeMarkovGame, generators
from eqsolve.bayesian_network.continuation import Continuation
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.network_search import NetworkSearch
from eqsolve.driver import solve, system_of
from eqsolve.driver.pack import fingerprint
from eqsolve.errors import EqsolveError
from eqsolve.modelfile import read_model, write_model
from eqsolve.modelfile.packed import renamed

HEAD = "eqsolve: 1\nsystem: bayesian_network\n"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "model-files.md"


def model_of(folder, text):
    path = folder / "a.yaml"
    path.write_text(HEAD + text)
    return read_model(path)


def same(one, other):
    assert type(one) is type(other)
    assert fingerprint(one) == fingerprint(other)


RNG = np.random.default_rng(0)
REWARD, KERNEL = RNG.random((2, 2, 3)), RNG.dirichlet(np.ones(2), (2, 2, 3))


def test_a_game_by_its_arrays(tmp_path):
    names = {"states": ("up", "down"), "agents": ("ann", "bob"), "actions": (("l", "r"), ("x", "y", "z"))}
    np.savez(tmp_path / "data.npz", P=KERNEL, r=REWARD.reshape(2, 6))
    (tmp_path / "mu.csv").write_text("mu\n0.25\n0.75\n")
    text = f"""name: mine
game:
  n_actions: [2, 3]
  reward: {{npz: data.npz, key: r}}
  transition: {{npz: data.npz, key: P}}
  gamma: 0.9
  initial: {{csv: mu.csv, column: mu}}
  states: [up, down]
  agents: [ann, bob]
  actions: {[list(one) for one in names["actions"]]}
"""
    expected = CooperativeMarkovGame([2, 3], KERNEL, REWARD, 0.9, initial=[0.25, 0.75], name="mine", **names)
    same(model_of(tmp_path, text).game, expected)
    inline = f"game: {{n_actions: [2, 3], gamma: 0.9, reward: {REWARD.tolist()}, transition: {KERNEL.reshape(2, 6, 2).tolist()}}}\n"
    same(model_of(tmp_path, inline).game, CooperativeMarkovGame([2, 3], KERNEL, REWARD, 0.9))


def test_one_state_needs_no_transition_and_one_list_of_actions_serves_all(tmp_path):
    text = "game: {n_actions: [2, 2], gamma: 0, reward: [[[1, 0], [0, 1]]], actions: [stag, hare]}\n"
    same(model_of(tmp_path, text).game, CooperativeMarkovGame([2, 2], None, [[[1.0, 0], [0, 1]]], 0.0, actions=("stag", "hare")))


def test_a_game_by_its_factors(tmp_path):
    game = generators.random_factored(2, (2, 3, 2), scope=2, seed=3)
    arrays = {f"r{k}": one.table for k, one in enumerate(game.reward)} | {f"m{k}": one.table for k, one in enumerate(game.moves)}
    np.savez(tmp_path / "data.npz", **arrays)
    lists = {
        word: "[" + ", ".join(f"{{agents: [{k}, {k + 1}], table: {{npz: data.npz, key: {word[0]}{k}}}}}" for k in range(2)) + "]"
        for word in ("rewards", "moves")
    }
    text = f"game: {{n_actions: [2, 3, 2], gamma: 0.9, factors: {{rewards: {lists['rewards']}, moves: {lists['moves']}}}}}\n"
    same(model_of(tmp_path, text).game, renamed(game, "cooperative game"))


def test_the_factored_example_of_the_document(tmp_path):
    (block,) = (
        one for one in re.findall(r"^```yaml\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE) if "factors" in one
    )
    model = model_of(tmp_path, block)
    rewards = [((0, 1), [[[1.0, 0], [0, 2]]]), ((1, 2), [[[0.0, 1, 0], [1, 0, 1]]])]
    same(model.game, CooperativeMarkovGame([2, 2, 3], None, rewards, 0.9, agents=("ann", "bob", "eve")))
    assert model.algorithm == LBFGS(((0, 1), (1, 2)), lam=0.01)
    assert solve(model.game, model.algorithm).is_converged


@pytest.mark.parametrize("name", generators.GENERATORS)
def test_every_generator_has_a_name(name, tmp_path):
    same(model_of(tmp_path, f"game: {{generator: {name}}}\n").game, generators.GENERATORS[name]())
    mine = model_of(tmp_path, f"name: mine\ngame: {{generator: {name}}}\n").game
    same(mine, renamed(generators.GENERATORS[name](), "mine"))


def test_parameters_of_a_generator(tmp_path):
    text = "game: {generator: random_cooperative, states: 4, n_actions: [2, 3], gamma: 5e-1, successors: 2, seed: 7}\n"
    same(model_of(tmp_path, text).game, generators.random_cooperative(4, (2, 3), gamma=0.5, successors=2, seed=7))


MISSION = "game: {generator: search_mission, drones: 3, width: 2, height: 2}\n"
ALGORITHMS = {
    "{name: LBFGS, network: chain, lam: 1e-2}": LBFGS("chain", lam=0.01),
    "{name: LBFGS, network: [[0, 1], [2, 1]]}": LBFGS(((0, 1), (2, 1))),
    "{name: LBFGS, network: [[drone 0, drone 1], [drone 0, 2]]}": LBFGS(((0, 1), (0, 2))),
    "{name: NetworkSearch, edges: 2, search: exhaustive}": NetworkSearch(2, search="exhaustive"),
    "{name: Continuation, start: 1, method: {name: LBFGS, network: [[drone 2, drone 0]], lam: 0.01}}": Continuation(
        LBFGS(((2, 0),), lam=0.01), start=1.0
    ),
    "{name: Continuation}": Continuation(),
}


@pytest.mark.parametrize("text", ALGORITHMS)
def test_algorithms_are_read_and_written_back(text, tmp_path):
    model = model_of(tmp_path, MISSION + f"algorithm: {text}\n")
    assert model.algorithm == ALGORITHMS[text]
    again = read_model(write_model(tmp_path / "again.yaml", model.game, model.algorithm, seed=5))
    same(again.game, model.game)
    assert again.algorithm == model.algorithm
    assert again.seed == 5


def test_a_written_game_without_an_algorithm_has_the_default(tmp_path):
    game = generators.coordination_line(30)
    model = read_model(write_model(tmp_path / "game.yaml", game))
    assert model.algorithm == system_of(game).default_algorithm(game)


def test_the_shipped_models_say_what_their_descriptions_say():
    model = read_model("penalty")
    best = solve(model.game, model.algorithm)
    assert best.optimality.upper <= model.algorithm.lam
    alone = read_model("penalty", {"algorithm.name": "AgentwiseBarrierIteration", "algorithm.network": "product"})
    assert solve(alone.game, alone.algorithm).value < 2
    drones = read_model("search-drones").game
    assert (drones.n_states, drones.n_joint, drones.gamma) == (81, 25, 0.9)


TABLE = "n_actions: [2, 2], gamma: 0.5"
REFUSED = {
    "an unknown generator": ("game: {generator: penalty}\n", "Did you mean 'penalty_game'"),
    "an unknown parameter": ("game: {generator: penalty_game, agent: 3}\n", "Did you mean 'agents'"),
    "a parameter out of range": ("game: {generator: penalty_game, k: 1}\n", "k is 1, a penalty above 0"),
    "an unknown key": (f"game: {{{TABLE}, rewards: [[[0, 0], [0, 0]]]}}\n", "Did you mean 'reward'"),
    "no reward": (f"game: {{{TABLE}}}\n", "the key game.reward is missing"),
    "no transition": (
        f"game: {{{TABLE}, reward: [[0, 0, 0, 0], [0, 0, 0, 1]]}}\n",
        "transition is left out, and there are 2 states",
    ),
    "a wrong shape": (f"game: {{{TABLE}, reward: [[0, 0, 0]]}}\n", "reward"),
    "a row that sums to 0.9": (
        f"game: {{{TABLE}, reward: [[0, 0, 0, 0]], transition: [[[1], [0.9], [1], [1]]]}}\n",
        "transition of state 0, joint action (0, 1) sums to 0.9",
    ),
    "an agent of a factor that does not exist": (
        f"game: {{{TABLE}, factors: {{rewards: [{{agents: [0, 2], table: [[[0, 0], [0, 0]]]}}]}}}}\n",
        "an agent of reward is 2",
    ),
    "an unknown label in a factor": (
        f"game: {{{TABLE}, agents: [ann, bob], factors: {{rewards: [{{agents: [anne], table: [[0, 0]]}}]}}}}\n",
        "Did you mean 'ann'",
    ),
    "a factor without a table": (
        f"game: {{{TABLE}, factors: {{rewards: [{{agents: [0]}}]}}}}\n",
        "game.factors.rewards[0].table is missing",
    ),
    "labels that are numbers": (f"game: {{{TABLE}, reward: [[0, 0, 0, 0]], agents: [0.5, 1]}}\n", "is not a list of names"),
    "actions that are no names": (f"game: {{{TABLE}, reward: [[0, 0, 0, 0]], actions: {{l: r}}}}\n", "game.actions has the keys l"),
    "actions of one agent that are no names": (
        f"game: {{{TABLE}, reward: [[0, 0, 0, 0]], actions: [[l, 0.5], [l, r]]}}\n",
        "game.actions[0] is not a list of names",
    ),
    "half an agent": (
        f"game: {{{TABLE}, factors: {{rewards: [{{agents: [0.5], table: [[0, 0]]}}]}}}}\n",
        "game.factors.rewards[0].agents[0] is 0.5, not an agent",
    ),
    "an unknown network": (MISSION + "algorithm: {name: LBFGS, network: chian}\n", "Did you mean 'chain'"),
    "a cycle": (MISSION + "algorithm: {name: LBFGS, network: [[0, 1], [1, 0]]}\n", "the network has the cycle"),
    "an edge of an agent too many": (
        MISSION + "algorithm: {name: LBFGS, network: [[0, 3]]}\n",
        "names agent 3, which does not exist",
    ),
    "an edge of an unknown label": (
        MISSION + "algorithm: {name: LBFGS, network: [[drone 0, drone 7]]}\n",
        "unknown agent 'drone 7'",
    ),
    "no edges": (MISSION + "algorithm: {name: LBFGS, network: [0, 1]}\n", "the edge 0 is not a pair"),
    "an unknown method": (MISSION + "algorithm: {name: Continuation, method: {name: LBFG}}\n", "Did you mean 'LBFGS'"),
    "an unknown parameter of a method": (
        MISSION + "algorithm: {name: Continuation, method: {name: LBFGS, lamda: 1}}\n",
        "Did you mean 'lam'",
    ),
    "a method without a name": (
        MISSION + "algorithm: {name: Continuation, method: {lam: 0.1}}\n",
        "the algorithm under method has no name",
    ),
    "a method that has no barrier": (
        MISSION + "algorithm: {name: Continuation, method: {name: NetworkSearch}}\n",
        "not a method with a barrier",
    ),
    "another system's game": ("game: {npz: other.npz}\n", "which is no bayesian_network game"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_with_the_place(name, tmp_path):
    from eqsolve.mdp.generators import forest

    write_model(tmp_path / "other.yaml", forest())
    text, words = REFUSED[name]
    with pytest.raises(EqsolveError) as caught:
        model_of(tmp_path, text)
    assert words in str(caught.value)
    assert "a.yaml" in str(caught.value)
