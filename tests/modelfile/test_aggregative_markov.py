"""Model files of aggregative Markov games: arrays inline and from npz files, generators, games written by a program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eqsolve.aggregative import AffinePayoffs
from eqsolve.aggregative.markov import (
    AggreBI,
    AggregativeMarkovGame,
    ConstantTransitions,
    MixtureTransitions,
    SoftmaxTransitions,
    StateWise,
)
from eqsolve.aggregative.markov.generators import GENERATORS, random_markov
from eqsolve.cli import main
from eqsolve.driver import solve
from eqsolve.driver.pack import fingerprint
from eqsolve.errors import EqsolveError
from eqsolve.modelfile import read_model, write_model
from eqsolve.modelfile.packed import renamed

HEAD = "eqsolve: 1\nsystem: aggregative_markov\n"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "model-files.md"
RNG = np.random.default_rng(0)
G = RNG.random((6, 1)) / 3
BASE, SLOPE = RNG.random((2, 6)), RNG.random((2, 6, 1)) - 0.5
LOW, HIGH = np.eye(2)[[0, 0]], np.eye(2)[[1, 1]]


def model_of(folder, text):
    path = folder / "a.yaml"
    path.write_text(HEAD + text)
    return read_model(path)


def same(one, other):
    assert type(one) is type(other)
    assert fingerprint(one) == fingerprint(other)


def packed(folder):
    arrays = {f"{name}{s}": part[s] for name, part in (("base", BASE), ("slope", SLOPE)) for s in range(2)}
    np.savez(folder / "game.npz", g=G, w=np.arange(12.0).reshape(2, 6), **arrays)


def test_the_example_of_the_document(tmp_path):
    text = DOCUMENT.read_text().split("system: aggregative_markov\n", 1)[1].split("```")[0]
    packed(tmp_path)
    model = model_of(tmp_path, text)
    families = [AffinePayoffs(BASE[s], SLOPE[s]) for s in range(2)]
    transition = MixtureTransitions(LOW, HIGH, [0.0, 0.2], [[1.0], [0.5]])
    same(model.game, AggregativeMarkovGame(3, [2, 2, 2], G, families, transition, [1.0, 0.0]))
    assert model.algorithm == AggreBI(tolerance="existence")
    assert solve(model.game, model.algorithm).is_converged


TRANSITIONS = {
    "{family: constant, probability: [[0.5, 0.5], [0, 1]]}": ConstantTransitions([[0.5, 0.5], [0.0, 1.0]]),
    "{family: softmax, base: [[0, 1], [1, 0]], slope: [[[0], [1]], [[1], [0]]]}": SoftmaxTransitions(
        [[0.0, 1.0], [1.0, 0.0]], [[[0.0], [1.0]], [[1.0], [0.0]]]
    ),
}


@pytest.mark.parametrize("text", TRANSITIONS)
def test_everything_inline_with_names_and_weights(text, tmp_path):
    packed(tmp_path)
    family = f"{{family: affine, base: {BASE[0].tolist()}, slope: {SLOPE[0].tolist()}}}"
    for rewards, families in ((family, AffinePayoffs(BASE[0], SLOPE[0])), (f"[[{family}], [{family}]]", None)):
        written = f"""name: mine
game:
  horizon: 2
  n_actions: [2, 1, 3]
  contribution: {[G.tolist(), G.tolist()]}
  rewards: {rewards}
  transition: {text}
  initial: [0.25, 0.75]
  welfare: {{npz: game.npz, key: w}}
  count: [4, 5, 6]
  labels: {{states: [good, bad], coordinates: [load], types: [a, b, c], actions: [l, r, stay, 0, 1, 2]}}
"""
        names = {"states": ("good", "bad"), "coordinates": ("load",), "types": ("a", "b", "c")}
        one = families or [[AffinePayoffs(BASE[0], SLOPE[0])]] * 2
        more = {"welfare": np.arange(12.0).reshape(2, 6), "count": [4, 5, 6], "actions": ("l", "r", "stay", "0", "1", "2")}
        game = AggregativeMarkovGame(
            2, [2, 1, 3], np.stack((G, G)), one, TRANSITIONS[text], [0.25, 0.75], name="mine", **names, **more
        )
        same(model_of(tmp_path, written).game, game)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_has_a_name(name, tmp_path):
    same(model_of(tmp_path, f"game: {{generator: {name}}}\n").game, GENERATORS[name]())
    same(model_of(tmp_path, f"name: mine\ngame: {{generator: {name}}}\n").game, renamed(GENERATORS[name](), "mine"))


def test_games_and_algorithms_are_written_and_read_back(tmp_path):
    game = random_markov(6, (1, 3), 2, states=2, horizon=2)
    model = read_model(write_model(tmp_path / "b.yaml", game, StateWise(cells=7), seed=3))
    same(model.game, game)
    assert (model.algorithm, model.seed) == (StateWise(cells=7), 3)


def run(capsys, *arguments):
    status = main(arguments)
    return status, *capsys.readouterr()


def test_a_shipped_model_from_the_command_line(capsys, tmp_path):
    """``solve --json``, and ``inspect`` of a stage program of that run."""
    small = ["--set", "game.vehicles=60", "--set", "game.horizon=3"]
    status, out, _ = run(capsys, "solve", "ev-charging", "--json", "--out", str(tmp_path / "run"), *small)
    told = json.loads(out)
    assert (status, told["status"]) == (0, "converged")
    assert 0 <= told["gap"]["upper"] <= told["bounds"][0]["value"]
    assert told["value"] <= told["value_bound"]
    status, out, _ = run(capsys, "inspect", "ev-charging", "--program", "stage:1:2", *small)
    assert status == 0
    assert out.startswith("aggregative stage program")
    assert "one_action" in out
    assert run(capsys, "certify", str(tmp_path / "run"))[0] == 0


def test_the_shipped_models_say_what_their_descriptions_say():
    roads, cars = read_model("congestion-markov").game, read_model("ev-charging").game
    assert (roads.n_players, roads.n_states, roads.horizon, roads.n_coordinates) == (400, 4, 5, 2)
    assert (cars.n_players, cars.n_types, cars.n_states, cars.horizon) == (1000, 12, 3, 7)


ARRAYS = f"horizon: 2, n_actions: 2, contribution: {G.tolist()}, initial: [1, 0]"
FAMILY = f"{{family: affine, base: {BASE[0].tolist()}, slope: {SLOPE[0].tolist()}}}"
STILL = "transition: {family: constant, probability: [[1, 0], [0, 1]]}"
REFUSED = {
    "an unknown generator": ("game: {generator: congestion}\n", "Did you mean 'congestion_markov'"),
    "an unknown parameter": ("game: {generator: market_markov, player: 3}\n", "Did you mean 'players'"),
    "an unknown key": (f"game: {{{ARRAYS}, rewards: {FAMILY}, {STILL}, stats: 2}}\n", "unknown key game.stats"),
    "no transition": (f"game: {{{ARRAYS}, rewards: {FAMILY}}}\n", "the key game.transition is missing"),
    "no rewards": (f"game: {{{ARRAYS}, {STILL}}}\n", "the key game.rewards is missing"),
    "an unknown family of transitions": (f"game: {{{ARRAYS}, rewards: {FAMILY}, transition: {{family: still}}}}\n", "'still'"),
    "no family": (f"game: {{{ARRAYS}, rewards: {FAMILY}, transition: {{probability: 1}}}}\n", "family is missing"),
    "a row that sums to 0.9": (
        f"game: {{{ARRAYS}, rewards: {FAMILY}, transition: {{family: constant, probability: [[1, 0], [0.5, 0.4]]}}}}\n",
        "transition.probability[h=0, s=1] sums to 0.9",
    ),
    "families for other states": (f"game: {{{ARRAYS}, rewards: [{FAMILY}, {FAMILY}, {FAMILY}], {STILL}}}\n", "3 states"),
    "actions that do not divide the rows": (
        f"game: {{{ARRAYS.replace('n_actions: 2', 'n_actions: 4')}, rewards: {FAMILY}, {STILL}}}\n",
        "n_actions is 4, but contribution has 6 rows",
    ),
    "an unknown algorithm": ("game: {generator: market_markov}\nalgorithm: {name: AggreB}\n", "Did you mean 'AggreBI'"),
    "an unknown tolerance": ("game: {generator: market_markov}\nalgorithm: {tolerance: optimal}\n", "'optimal'"),
    "another system's game": ("game: {npz: other.npz}\n", "which is no aggregative_markov game"),
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
