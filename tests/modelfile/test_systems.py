"""Model files of decision processes, finite games and Markov games."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.driver import solve, system_of
from eqsolve.driver.pack import fingerprint
from eqsolve.errors import EqsolveError, InvalidModelFile
from eqsolve.mdp import FiniteMDP
from eqsolve.mdp.generators import forest, grid_world, random_mdp
from eqsolve.modelfile import read_model, write_model
from eqsolve.modelfile.packed import renamed
from eqsolve.normal_form import NormalFormGame, PolymatrixGame
from eqsolve.normal_form.generators import chicken, random_game, random_polymatrix
from eqsolve.normal_form.markov import FiniteMarkovGame
from eqsolve.normal_form.nfg import write_nfg

HEAD = "eqsolve: 1\nsystem: "


def game_of(folder, text):
    path = folder / "a.yaml"
    path.write_text(HEAD + text)
    return read_model(path).game


def same(one, other, *, name=None):
    """Equal to the last bit, the name aside where one is given."""
    assert type(one) is type(other)
    assert fingerprint(one) == fingerprint(other if name is None else renamed(other, name))


P = np.array([[[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.25, 0.75]]])
R = np.array([[1.0, 0.0], [2.0, -1.0]])


def test_a_process_by_rectangular_arrays(tmp_path):
    text = f"mdp\nname: mine\ngame: {{transition: {P.tolist()}, reward: {R.tolist()}, gamma: 0.9, initial: [0.25, 0.75]}}\n"
    same(game_of(tmp_path, text), FiniteMDP.from_arrays(P, R, 0.9, initial=[0.25, 0.75], name="mine"))


def test_a_process_by_pairs_from_files(tmp_path):
    np.savez(tmp_path / "data.npz", P=P.reshape(4, 2)[:3], s=["up", "down"])
    (tmp_path / "pairs.csv").write_text("reward,action\n1,stay\n0,go\n2,stay\n")
    text = """mdp
game:
  n_actions: [2, 1]
  transition: {npz: data.npz, key: P}
  reward: {csv: pairs.csv, column: reward}
  states: {npz: data.npz, key: s}
  actions: {csv: pairs.csv, column: action}
  horizon: 3
  terminal: [1, 2]
  initial: down
"""
    more = {"horizon": 3, "terminal": [1, 2], "initial": "down", "states": ("up", "down"), "actions": ("stay", "go", "stay")}
    same(game_of(tmp_path, text), FiniteMDP([2, 1], P.reshape(4, 2)[:3], [1.0, 0, 2], **more))


def test_a_process_whose_states_lack_actions(tmp_path):
    text = f"mdp\ngame: {{transition: {P.tolist()}, reward: {R.tolist()}, gamma: 0.5, available: [[1, 1], [0, 1]]}}\n"
    same(game_of(tmp_path, text), FiniteMDP.from_arrays(P, R, 0.5, available=[[True, True], [False, True]]))


MOVES = """state,action,next,chance,reward
worn,repair,new,1,-5
new,run,worn,0.5,4
new,run,new,0.5,2
worn,run,worn,0.75,1
worn,run,broken,0.25,-10
broken,stay,broken,1,0
new,wait,new,1,0
"""


def test_a_process_by_its_moves(tmp_path):
    (tmp_path / "moves.csv").write_text(MOVES)
    columns = "state: {csv: moves.csv, column: state}, action: {csv: moves.csv, column: action}"
    columns += ", next: {csv: moves.csv, column: next}, probability: {csv: moves.csv, column: chance}"
    columns += ", reward: {csv: moves.csv, column: reward}"
    mdp = game_of(tmp_path, f"mdp\ngame: {{moves: {{{columns}}}, gamma: 0.9, initial: new}}\n")
    assert mdp.states == ("worn", "new", "broken")
    assert mdp.actions == ("repair", "run", "run", "wait", "stay")
    np.testing.assert_array_equal(mdp.n_actions, [2, 2, 1])
    np.testing.assert_array_equal(mdp.kernel().toarray(), [[0, 1, 0], [0.75, 0, 0.25], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(mdp.reward, [-5, 0.75 - 2.5, 3, 0, 0])
    np.testing.assert_array_equal(mdp.initial, [0, 1, 0])
    (tmp_path / "moves.csv").write_text(MOVES.replace("broken,stay,broken,1,0\n", ""))
    with pytest.raises(InvalidModelFile, match=r"row 4 of moves leads to the state 'broken', which has no actions"):
        game_of(tmp_path, f"mdp\ngame: {{moves: {{{columns}}}, gamma: 0.9}}\n")
    (tmp_path / "moves.csv").write_text(MOVES.replace("new,run,new,0.5", "new,run,new,0.4"))
    with pytest.raises(InvalidModelFile, match=r"sums to 0\.9"):
        game_of(tmp_path, f"mdp\ngame: {{moves: {{{columns}}}, gamma: 0.9}}\n")


GENERATED = {
    "grid": ("{generator: grid_world, rows: 3, columns: 4, slip: 0.1, goals: [[2, 3, 1], [1, 1, -1]], walls: [[0, 1]]}", None),
    "random": ("{generator: random_mdp, states: 5, actions: 3, successors: 2, seed: 4, ragged: true, gamma: 5e-1}", None),
    "forest": ("{generator: forest, ages: 4}", None),
}
MADE = {
    "grid": lambda: grid_world(3, 4, slip=0.1, goals={(2, 3): 1, (1, 1): -1}, walls=[(0, 1)]),
    "random": lambda: random_mdp(5, 3, 2, 0.5, seed=4, ragged=True),
    "forest": lambda: forest(4),
}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_processes(name, tmp_path):
    same(game_of(tmp_path, f"mdp\ngame: {GENERATED[name][0]}\n"), MADE[name]())
    same(game_of(tmp_path, f"mdp\nname: mine\ngame: {GENERATED[name][0]}\n"), MADE[name](), name="mine")


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1"])
def test_environments_of_gymnasium(name, tmp_path):
    gymnasium = pytest.importorskip("gymnasium")
    mdp = game_of(tmp_path, f"mdp\ngame: {{gymnasium: {name}, gamma: 0.9}}\n")
    table = gymnasium.make(name).unwrapped.P
    assert mdp.name == name
    assert mdp.gamma == 0.9
    assert mdp.n_states in (len(table), len(table) + 1)
    plain = [s for s in table if not any(done for moves in table[s].values() for *_, done in moves)]
    for s in plain:
        for a, moves in table[s].items():
            row = np.asarray(mdp.kernel()[[mdp.first[s] + a]].toarray()).ravel()
            expected = np.zeros(mdp.n_states)
            for chance, to, _, _ in moves:
                expected[to] += chance
            np.testing.assert_allclose(row, expected, atol=1e-12)
            assert mdp.reward[mdp.first[s] + a] == pytest.approx(sum(chance * reward for chance, _, reward, _ in moves))


def test_options_of_an_environment(tmp_path):
    pytest.importorskip("gymnasium")
    small = game_of(tmp_path, "mdp\ngame: {gymnasium: FrozenLake-v1, gamma: 0.9}\n")
    large = game_of(tmp_path, "mdp\ngame: {gymnasium: FrozenLake-v1, gamma: 0.9, options: {map_name: 8x8}}\n")
    assert large.n_states - small.n_states == 48
    late = game_of(tmp_path, "mdp\nname: late\ngame: {gymnasium: FrozenLake-v1, horizon: 20, initial: '5'}\n")
    assert (late.name, late.horizon, late.initial.argmax()) == ("late", 20, 5)


def test_a_finite_game_by_its_tables(tmp_path):
    table = "payoffs: [[[6, 2], [7, 0]], [[6, 7], [2, 0]]]"
    text = f"normal_form\nname: chicken\ngame: {{{table}, players: [row, column], actions: [yield, dare]}}\n"
    same(game_of(tmp_path, text), chicken())
    ragged = "normal_form\ngame: {payoffs: [[[1, 2, 3]], [[4, 5, 6]]], actions: [[only], [1, 2, yes]]}\n"
    game = game_of(tmp_path, ragged)
    same(game, NormalFormGame([[[1, 2, 3]], [[4, 5, 6]]], actions=(("only",), ("1", "2", "True"))))


def test_a_finite_game_from_a_file_of_gambit(tmp_path):
    write_nfg(chicken(), tmp_path / "chicken.nfg")
    same(game_of(tmp_path, "normal_form\ngame: {nfg: chicken.nfg}\n"), chicken())


def test_generated_games(tmp_path):
    same(
        game_of(tmp_path, "normal_form\ngame: {generator: random_game, n_actions: [2, 3], seed: 5}\n"), random_game([2, 3], seed=5)
    )
    same(game_of(tmp_path, "normal_form\ngame: {generator: chicken}\n"), chicken())


def test_a_polymatrix_game(tmp_path):
    text = """polymatrix
game:
  n_actions: [2, 2, 1]
  pairs:
    - {players: [0, 1], payoffs: [[1, 0], [0, 2]]}
    - {players: [1, 0], payoffs: [[1, 0], [0, 3]]}
    - {players: [1, 2], payoffs: [[0.5], [0]]}
  own: [[0, 0.1], [0, 0], [1]]
"""
    tables = {(0, 1): [[1, 0], [0, 2]], (1, 0): [[1, 0], [0, 3]], (1, 2): [[0.5], [0]]}
    game = game_of(tmp_path, text)
    same(game, PolymatrixGame([2, 2, 1], tables, own=[[0, 0.1], [0, 0], [1]]))
    result = solve(game)
    assert result.policy.actions.tolist() == [1, 1, 0]
    assert result.gap.upper == 0.0
    generated = game_of(tmp_path, "polymatrix\ngame: {generator: random_polymatrix, n_actions: [2, 3, 2], degree: 1, seed: 2}\n")
    same(generated, random_polymatrix([2, 3, 2], degree=1, seed=2))


def test_a_markov_game_in_both_forms(tmp_path):
    rng = np.random.default_rng(0)
    kernel, reward = rng.dirichlet(np.ones(2), (2, 2, 3)), rng.random((2, 2, 2, 3))
    np.savez(tmp_path / "data.npz", P=kernel, r=reward, Q=kernel.reshape(12, 2), s=reward.reshape(2, 12))
    more = "horizon: 3, states: [good, bad], initial: [1, 0], terminal: [[0, 1], [2, 3]]"
    expected = FiniteMarkovGame.from_arrays(
        kernel, reward, 3, states=("good", "bad"), initial=[1, 0], terminal=np.array([[0.0, 1], [2, 3]])
    )
    full = f"markov_game\ngame: {{transition: {{npz: data.npz, key: P}}, reward: {{npz: data.npz, key: r}}, {more}}}\n"
    pairs = "n_actions: [[2, 3], [2, 3]], transition: {npz: data.npz, key: Q}, reward: {npz: data.npz, key: s}"
    same(game_of(tmp_path, full), expected)
    same(game_of(tmp_path, f"markov_game\ngame: {{{pairs}, {more}}}\n"), expected)


def test_a_repeated_game_needs_no_transition(tmp_path):
    game = game_of(tmp_path, "markov_game\ngame: {horizon: 2, reward: [[[[6, 2], [7, 0]]], [[[6, 7], [2, 0]]]]}\n")
    same(game, FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 1)), np.array([[[[6.0, 2], [7, 0]]], [[[6, 7], [2, 0]]]]), 2))
    assert solve(game).is_converged


BACK = {
    "mdp, dense": FiniteMDP.from_arrays(P, R, 0.9, states=("a", "b")),
    "mdp, sparse with steps": random_mdp(4, 3, 2, 0.9, seed=1, ragged=True, horizon=3, stationary=False),
    "normal form": random_game([2, 3, 2], seed=1),
    "polymatrix": random_polymatrix([2, 3, 2], seed=3),
    "markov game": FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 1)), np.random.default_rng(1).random((2, 1, 2, 2)), 2),
}


@pytest.mark.parametrize("game", BACK.values(), ids=BACK)
def test_written_games_are_read_back_to_the_last_bit(game, tmp_path):
    model = read_model(write_model(tmp_path / "game.yaml", game, seed=3))
    same(model.game, game)
    system = system_of(game)
    assert model.system == system.name
    assert model.algorithm == system.default_algorithm(game)
    assert model.seed == 3


REFUSED = {
    "mdp: a row that does not sum to 1": ("mdp\ngame: {transition: [[[0.9]]], reward: [[1]], gamma: 0.5}\n", "sums to 0.9"),
    "mdp: gamma of 1": ("mdp\ngame: {transition: [[[1]]], reward: [[1]], gamma: 1}\n", "gamma is 1"),
    "mdp: no length": ("mdp\ngame: {transition: [[[1]]], reward: [[1]]}\n", "neither gamma nor a horizon"),
    "mdp: no reward": ("mdp\ngame: {transition: [[[1]]], gamma: 0.5}\n", "game.reward is missing"),
    "mdp: unknown key": ("mdp\ngame: {transition: [[[1]]], reward: [[1]], gama: 0.5}\n", "Did you mean 'gamma'"),
    "mdp: unknown state": ("mdp\ngame: {transition: [[[1]]], reward: [[1]], gamma: 0.5, initial: up}\n", "unknown state 'up'"),
    "mdp: two kinds of pairs": (
        "mdp\ngame: {transition: [[1]], reward: [1], gamma: 0.5, n_actions: [1], available: [[1]]}\n",
        "both of n_actions and available",
    ),
    "mdp: unknown generator": ("mdp\ngame: {generator: gridworld, rows: 2}\n", "Did you mean 'grid_world'"),
    "mdp: unknown parameter": ("mdp\ngame: {generator: grid_world, rows: 2, columns: 2, slipp: 1}\n", "Did you mean 'slip'"),
    "mdp: missing parameter": ("mdp\ngame: {generator: grid_world, rows: 2}\n", "'columns' is missing"),
    "mdp: goals of two numbers": (
        "mdp\ngame: {generator: grid_world, rows: 2, columns: 2, goals: [[1, 1]]}\n",
        "[row, column, reward]",
    ),
    "mdp: moves of unequal length": (
        "mdp\ngame: {moves: {state: [a], action: [b], next: [a], reward: [1, 2]}, gamma: 0.5}\n",
        "moves.reward has 2 rows, moves.state has 1",
    ),
    "mdp: no moves": ("mdp\ngame: {moves: {state: [], action: [], next: [], reward: []}, gamma: 0.5}\n", "moves has no rows"),
    "mdp: unknown algorithm": (
        "mdp\ngame: {generator: forest}\nalgorithm: {name: PolicyIteratoin}\n",
        "Did you mean 'PolicyIteration'",
    ),
    "mdp: unknown parameter of it": (
        "mdp\ngame: {generator: forest}\nalgorithm: {name: PolicyIteration, tollerance: 1}\n",
        "unknown parameter of PolicyIteration 'tollerance'",
    ),
    "mdp: an algorithm in words": ("mdp\ngame: {generator: forest}\nalgorithm: fast\n", "algorithm is 'fast'"),
    "normal form: payoffs of one axis": ("normal_form\ngame: {payoffs: [1, 2]}\n", "payoffs has 1 axes"),
    "normal form: labels that are text": ("normal_form\ngame: {payoffs: [[[1]], [[1]]], actions: a}\n", "is not a list of names"),
    "normal form: no such file": ("normal_form\ngame: {nfg: gone.nfg}\n", "gone.nfg"),
    "normal form: a number for a file": ("normal_form\ngame: {nfg: 3}\n", "game.nfg is 3, not the name of a file"),
    "normal form: no table": ("normal_form\ngame: {players: [a, b]}\n", "game.payoffs is missing"),
    "polymatrix: a pair twice": (
        "polymatrix\ngame: {n_actions: [1, 1], pairs: [{players: [0, 1], payoffs: [[1]]}, {players: [0, 1], payoffs: [[2]]}]}\n",
        "pairs[1] gives the payoffs of [0, 1] a second time",
    ),
    "polymatrix: no such player": (
        "polymatrix\ngame: {n_actions: [1, 1], pairs: [{players: [0, 2], payoffs: [[1]]}]}\n",
        "is not a pair of two of the 2 players",
    ),
    "markov game: no transition": (
        "markov_game\ngame: {horizon: 2, reward: [[[[1]], [[1]]], [[[1]], [[1]]]]}\n",
        "game.transition is missing",
    ),
    "markov game: pairs without transition": (
        "markov_game\ngame: {horizon: 2, n_actions: [[1]], reward: [[1]]}\n",
        "transition is missing",
    ),
    "markov game: no horizon": ("markov_game\ngame: {reward: [[[1]]]}\n", "game.horizon is missing"),
    "a packed file that is not there": ("mdp\ngame: {npz: gone.npz}\n", "relative to the folder"),
    "a packed file of another kind": ("normal_form\ngame: {npz: forest.npz}\n", "holds a FiniteMDP, which is no normal_form game"),
    "a packed file that is none": ("mdp\ngame: {npz: arrays.npz}\n", "not a whole file of EqSolve"),
    "a packed file named by a number": ("mdp\ngame: {npz: 3}\n", "game.npz is 3, not the name of a file"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(text, words, tmp_path):
    write_model(tmp_path / "forest.yaml", forest())
    np.savez(tmp_path / "arrays.npz", a=[1.0])
    with pytest.raises(EqsolveError) as caught:
        game_of(tmp_path, text)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "a.yaml"))


def test_a_misspelt_environment(tmp_path):
    pytest.importorskip("gymnasium")
    with pytest.raises(InvalidModelFile, match="gymnasium cannot make 'FrozenLak-v1'"):
        game_of(tmp_path, "mdp\ngame: {gymnasium: FrozenLak-v1, gamma: 0.9}\n")


KNOWN = {"chicken": 10.5}


def test_the_shipped_game_of_chicken_has_the_published_welfare():
    model = read_model("chicken")
    result = solve(model.game, model.algorithm)
    assert result.gap.holds(1e-6)
    assert result.system.value(model.game, result.policy) == pytest.approx(KNOWN["chicken"], abs=1e-6)


@pytest.mark.parametrize(
    "text", ["{name: FixedPointNash, gap: 1e-2}", "{name: PotentialNash}", "{split: widest, welfare_gap: 0.01}"]
)
def test_every_algorithm_of_an_aggregative_game_can_be_named(text, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(HEAD + f"aggregative\ngame: {{generator: ev_charging, vehicles: 30, hours: 5}}\nalgorithm: {text}\n")
    model = read_model(path)
    result = solve(model.game, model.algorithm)
    assert result.is_converged
    again = read_model(write_model(tmp_path / "b.yaml", model.game, model.algorithm))
    assert again.algorithm == model.algorithm
