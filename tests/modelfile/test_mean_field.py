"""Model files of games of one global agent and many local ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from eqsolve.driver import solve, system_of
from eqsolve.driver.pack import fingerprint
from eqsolve.errors import EqsolveError
from eqsolve.mean_field import generators
from eqsolve.mean_field.alternating_marl import AlternatingMARL, authors_code
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.initial import InitialLaw
from eqsolve.mean_field.rewards import StochasticReward
from eqsolve.modelfile import read_model, write_model
from eqsolve.modelfile.packed import renamed

HEAD = "eqsolve: 1\nsystem: mean_field\n"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "model-files.md"
RNG = np.random.default_rng(0)
P_G, P_L = RNG.dirichlet(np.ones(2), (2, 3)), RNG.dirichlet(np.ones(3), (3, 2, 2))
R_G, R_L = RNG.random((2, 3)), RNG.random((3, 2, 2))
VALUES = np.stack([R_L - 0.5, R_L + 1.0], axis=-1)
NAMES = {
    "global_states": ("g", "h"),
    "local_states": ("x", "y", "z"),
    "global_actions": ("1", "2", "3"),
    "local_actions": ("a", "b"),
}
LABELS = {key: list(names) for key, names in NAMES.items()}


def model_of(folder, text):
    np.savez(folder / "data.npz", P=P_G, Q=P_L, r=R_G, s=R_L, v=VALUES)
    path = folder / "a.yaml"
    path.write_text(HEAD + text)
    return read_model(path)


def same(one, other):
    assert type(one) is type(other)
    assert fingerprint(one) == fingerprint(other)


KERNELS = "global_kernel: {npz: data.npz, key: P}, local_kernel: {npz: data.npz, key: Q}"
REWARDS = "global_reward: {npz: data.npz, key: r}, local_reward: {npz: data.npz, key: s}"
ARRAYS = f"{KERNELS}, {REWARDS}, n: 30, gamma: 0.9"


def test_a_game_by_its_arrays(tmp_path):
    model = model_of(tmp_path, f"name: mine\ngame: {{{ARRAYS}, labels: {LABELS}}}\n")
    same(model.game, GlobalLocalGame(P_G, P_L, R_G, R_L, 30, 0.9, name="mine", **NAMES))
    inline = f"global_kernel: {P_G.tolist()}, local_kernel: {P_L.tolist()}, global_reward: {R_G.tolist()}"
    inline += f", local_reward: {R_L.tolist()}, n: 30, gamma: 9e-1"
    same(model_of(tmp_path, f"game: {{{inline}}}\n").game, GlobalLocalGame(P_G, P_L, R_G, R_L, 30, 0.9))


LAWS = {
    "{global_law: [0.25, 0.75], iid: [0.5, 0.5, 0]}": InitialLaw([0.25, 0.75], "iid", [0.5, 0.5, 0]),
    "{global_law: [1, 0], dirichlet: [3e-1, 0, 2]}": InitialLaw([1, 0], "dirichlet", [0.3, 0, 2]),
    "{global_law: [1, 0], counts: [10, 20, 0]}": InitialLaw([1, 0], "counts", [10, 20, 0]),
}


@pytest.mark.parametrize("text", LAWS)
def test_laws_of_the_first_states(text, tmp_path):
    model = model_of(tmp_path, f"game: {{{ARRAYS}, initial: {text}}}\n")
    same(model.game, GlobalLocalGame(P_G, P_L, R_G, R_L, 30, 0.9, LAWS[text]))


def test_stochastic_rewards_with_or_without_their_means(tmp_path):
    noise = "local_noise: {values: {npz: data.npz, key: v}, probabilities: [0.25, 0.75], low: -1, high: 2}"
    law = StochasticReward(VALUES, [0.25, 0.75], -1, 2)
    expected = GlobalLocalGame(P_G, P_L, R_G, None, 30, 0.9, local_noise=law)
    text = f"{KERNELS}, n: 30, gamma: 0.9, global_reward: {{npz: data.npz, key: r}}, {noise}"
    same(model_of(tmp_path, f"game: {{{text}}}\n").game, expected)
    same(model_of(tmp_path, f"game: {{{text}, local_reward: {law.mean.tolist()}}}\n").game, expected)


def test_masks_and_types(tmp_path):
    kernel = np.zeros((3, 2, 2, 3))
    kernel[0, :, :, 0], kernel[1:, :, :, 1:] = 1.0, 0.5
    here = {"global_available": [[1, 1, 0], [1, 0, 1]], "local_available": [[1, 0], [1, 1], [0, 1]]}
    arrays = ARRAYS.replace("{npz: data.npz, key: Q}", str(kernel.tolist()))
    more = "".join(f", {key}: {mask}" for key, mask in here.items())
    model = model_of(tmp_path, f"game: {{{arrays}{more}, type_of: [0, 1, 1]}}\n")
    masks = {key: np.array(mask, dtype=bool) for key, mask in here.items()}
    same(model.game, GlobalLocalGame(P_G, kernel, R_G, R_L, 30, 0.9, type_of=[0, 1, 1], **masks))


def test_the_example_of_the_document(tmp_path):
    blocks = re.findall(r"^```yaml\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    (text,) = (one for one in blocks if "local_kernel" in one)
    model = model_of(tmp_path, text)
    move_g = np.array([[[1.0, 0], [0, 1]]] * 2)
    move_l = np.array([[[[0.9, 0.1], [1, 0]], [[0.6, 0.4], [1, 0]]], [[[0, 1], [0.5, 0.5]], [[0, 1], [0.9, 0.1]]]])
    values = np.zeros((2, 2, 2, 2))
    values[0, :, 0, 0] = 2.0, 1.0
    names = {"global_states": ("go", "rest"), "local_states": ("fresh", "tired")}
    names |= {"global_actions": ("go", "rest"), "local_actions": ("work", "pause")}
    law, noise = InitialLaw([1, 0], "counts", [200, 100]), StochasticReward(values, [0.5, 0.5], 0, 2)
    same(model.game, GlobalLocalGame(move_g, move_l, [[0, -0.1]] * 2, None, 300, 0.9, law, local_noise=noise, **names))
    assert model.algorithm == AlternatingMARL(4, 6)
    result = solve(model.game, model.algorithm)
    assert result.is_converged
    assert result.gap.upper < 0.1


@pytest.mark.parametrize("name", generators.GENERATORS)
def test_every_generator_has_a_name(name, tmp_path):
    same(model_of(tmp_path, f"game: {{generator: {name}}}\n").game, generators.GENERATORS[name]())
    mine = model_of(tmp_path, f"name: mine\ngame: {{generator: {name}}}\n").game
    same(mine, renamed(generators.GENERATORS[name](), "mine"))


def test_parameters_of_a_generator(tmp_path):
    text = "game: {generator: demand_response, n: 7, shares: [0.2, 0.3, 0.5], elasticity: 1e-1}\n"
    same(model_of(tmp_path, text).game, generators.demand_response(7, shares=(0.2, 0.3, 0.5), elasticity=0.1))


WAREHOUSE = "game: {generator: warehouse, n: 20, zones: 3}\n"
ALGORITHMS = {
    "{name: AlternatingMARL, k: 2, K: 4, tolerance: 1e-3, starts: 2}": AlternatingMARL(2, 4, tolerance=1e-3, starts=2),
    "{k: 2, global_step: ascent, local_step: enumerate}": AlternatingMARL(2, global_step="ascent", local_step="enumerate"),
    "{k: 2, local_step: fixed, local_policy: [[0, 1, 2], [0, 0, 0], [2, 1, 0]]}": AlternatingMARL(
        2, local_step="fixed", local_policy=((0, 1, 2), (0, 0, 0), (2, 1, 0))
    ),
    "{k: 3, global_step: rounded, local_step: softmax, rounds: 5, variant: authors}": authors_code(3),
}


@pytest.mark.parametrize("text", ALGORITHMS)
def test_algorithms_are_read_and_written_back(text, tmp_path):
    model = model_of(tmp_path, WAREHOUSE + f"algorithm: {text}\n")
    assert model.algorithm == ALGORITHMS[text]
    again = read_model(write_model(tmp_path / "again.yaml", model.game, model.algorithm, seed=5))
    same(again.game, model.game)
    assert again.algorithm == model.algorithm
    assert again.seed == 5


WRITTEN = {
    "noise": GlobalLocalGame(P_G, P_L, R_G, None, 30, 0.9, local_noise=StochasticReward(VALUES, [1 / 3, 2 / 3], -1, 2), **NAMES),
    "counts": GlobalLocalGame(P_G, P_L, R_G, R_L, 30, 0.9, InitialLaw([1 / 3, 2 / 3], "counts", [10, 20, 0])),
    "types": generators.demand_response(10),
    "ragged": generators.random_game(ragged=True, types=2, zeros=0.3),
    "dirichlet": generators.federated(10),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_written_game_is_the_same_to_the_last_bit(name, tmp_path):
    game = WRITTEN[name]
    model = read_model(write_model(tmp_path / "game.yaml", game))
    same(model.game, game)
    assert model.algorithm == system_of(game).default_algorithm(game)


def test_the_shipped_models_say_what_their_descriptions_say():
    for name, agents, makes in (("warehouse", 1000, generators.warehouse), ("federated", 500, generators.federated)):
        model = read_model(name)
        same(model.game, renamed(makes(agents), name))
        assert model.algorithm.k == 3
        assert f"3 of {agents:,}" in model.description
        result = solve(model.game, model.algorithm)
        assert result.is_converged
        assert result.gap.upper < 0.01 * result.value


REFUSED = {
    "an unknown generator": ("game: {generator: warehose}\n", "Did you mean 'warehouse'"),
    "an unknown parameter": ("game: {generator: warehouse, zone: 3}\n", "Did you mean 'zones'"),
    "a parameter out of range": ("game: {generator: warehouse, zones: 2}\n", "zones is 2"),
    "an unknown variant": ("game: {generator: warehouse, variant: papers}\n", "Did you mean 'paper'"),
    "an unknown key": (f"game: {{{ARRAYS}, intial: 1}}\n", "Did you mean 'initial'"),
    "no kernel": ("game: {n: 3, gamma: 0.5, global_kernel: [[[1]]]}\n", "the key game.local_kernel is missing"),
    "no reward": (f"game: {{{KERNELS}, n: 3, gamma: 0.5}}\n", "global_reward is missing"),
    "no local reward": (
        f"game: {{{KERNELS}, n: 3, gamma: 0.5, global_reward: {{npz: data.npz, key: r}}}}\n",
        "local_reward is missing",
    ),
    "half an agent": (f"game: {{{ARRAYS.replace('30', '2.5')}}}\n", "game.n is 2.5"),
    "no agent": (f"game: {{{ARRAYS.replace('30', '0')}}}\n", "n is 0"),
    "a discount of 1": (f"game: {{{ARRAYS.replace('0.9', '1')}}}\n", "gamma is 1"),
    "a truth value for gamma": (f"game: {{{ARRAYS.replace('0.9', 'yes')}}}\n", "game.gamma is true, not a number"),
    "a kernel of another shape": (f"game: {{{ARRAYS.replace('key: Q', 'key: s')}}}\n", "local_kernel"),
    "a row that sums to 0.9": (
        f"game: {{{ARRAYS.replace('{npz: data.npz, key: P}', '[[[1, 0], [0.9, 0], [1, 0]], [[1, 0], [1, 0], [1, 0]]]')}}}\n",
        "global_kernel[0, 1] sums to 0.9",
    ),
    "no law of the local agents": (f"game: {{{ARRAYS}, initial: {{global_law: [1, 0]}}}}\n", "initial: gives 0 laws"),
    "two laws": (
        f"game: {{{ARRAYS}, initial: {{global_law: [1, 0], iid: [1, 0, 0], counts: [30, 0, 0]}}}}\n",
        "game.initial: gives 2 laws of the local agents: iid, counts",
    ),
    "no global law": (f"game: {{{ARRAYS}, initial: {{iid: [1, 0, 0]}}}}\n", "the key game.initial.global_law is missing"),
    "a law that sums to 0.9": (
        f"game: {{{ARRAYS}, initial: {{global_law: [0.9, 0], iid: [1, 0, 0]}}}}\n",
        "game.initial: global_law sums to 0.9, not 1",
    ),
    "a law of other states": (
        f"game: {{{ARRAYS}, initial: {{global_law: [1], iid: [1, 0, 0]}}}}\n",
        "initial.global_law has 1 states, and the game has 2",
    ),
    "counts of other agents": (
        f"game: {{{ARRAYS}, initial: {{global_law: [1, 0], counts: [1, 2, 3]}}}}\n",
        "initial.local counts 6 agents, and the game has 30",
    ),
    "noise out of its range": (
        f"game: {{{ARRAYS}, local_noise: {{values: {{npz: data.npz, key: v}}, probabilities: [0.5, 0.5], low: 0, high: 1}}}}\n",
        "game.local_noise: values[",
    ),
    "probabilities of noise": (
        f"game: {{{ARRAYS}, local_noise: {{values: {{npz: data.npz, key: v}}, probabilities: [0.5, 0.4], low: -1, high: 2}}}}\n",
        "game.local_noise: probabilities[0, 0, 0] sums to 0.9",
    ),
    "means that are none": (
        f"game: {{{ARRAYS}, local_noise: {{values: {{npz: data.npz, key: v}}, probabilities: [0, 1], low: -1, high: 2}}}}\n",
        "local_reward[0, 0, 0] is ",
    ),
    "a mask of halves": (f"game: {{{ARRAYS}, local_available: [[1, 1], [1, 0.5], [1, 1]]}}\n", "local_available[1, 1] is 0.5"),
    "a state without actions": (f"game: {{{ARRAYS}, local_available: [[1, 1], [0, 0], [1, 1]]}}\n", "local_available[1] is"),
    "types that mix": (f"game: {{{ARRAYS}, type_of: [0, 0, 1]}}\n", "from type 0 to type 1"),
    "half a type": (f"game: {{{ARRAYS}, type_of: [0, 0, 0.5]}}\n", "type_of[2] is 0.5, not a whole number"),
    "labels of too few": (f"game: {{{ARRAYS}, labels: {{local_states: [x, y]}}}}\n", "local_states has 2 labels, expected 3"),
    "an unknown kind of labels": (f"game: {{{ARRAYS}, labels: {{local_state: [x, y]}}}}\n", "Did you mean 'local_states'"),
    "labels that are numbers": (
        f"game: {{{ARRAYS}, labels: {{local_states: [0.5, y, z]}}}}\n",
        "game.labels.local_states is not a list of names",
    ),
    "another system's game": ("game: {npz: other.npz}\n", "which is no mean_field game"),
    "an unknown algorithm": (WAREHOUSE + "algorithm: {name: AlternatingMARK}\n", "Did you mean 'AlternatingMARL'"),
    "an unknown step": (WAREHOUSE + "algorithm: {global_step: exakt}\n", "unknown global step 'exakt'"),
    "K below k": (WAREHOUSE + "algorithm: {k: 5, K: 4}\n", "K is 4"),
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
