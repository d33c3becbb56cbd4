"""Model files that are right: every way to give a game, and back."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    AggregativeNash,
    CallablePayoffs,
    CurvePayoffs,
    PolynomialPayoffs,
    TabulatedPayoffs,
    congestion,
    ev_charging,
    market,
    random_affine,
)
from eqsolve.backends import Limits
from eqsolve.driver import solve
from eqsolve.errors import InvalidData
from eqsolve.modelfile import read_model, shipped_models, write_model


def same_game(one: AggregativeGame, other: AggregativeGame) -> None:
    for name in ("n_actions", "contribution", "weights", "players", "gamma_columns"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(one.payoff.signature(), other.payoff.signature())
    x = np.random.default_rng(0).uniform(one.lower, one.upper, (5, one.n_coordinates))
    np.testing.assert_array_equal(one.payoff.batch(x), other.payoff.batch(x))
    assert (one.name, one.coordinates, one.types, one.actions) == (other.name, other.coordinates, other.types, other.actions)


def tabulated() -> AggregativeGame:
    rng = np.random.default_rng(3)
    nodes = (np.linspace(0, 1, 4), np.linspace(0, 1, 3))
    return AggregativeGame(
        n_actions=np.array([2, 3]),
        contribution=rng.random((5, 2)) / 2,
        payoff=TabulatedPayoffs(nodes, rng.random((5, 4, 3))),
        types=("yes", "07"),
        actions=("a", "b, c", "1", "true", "null"),
    )


GAMES = {
    "polynomial": congestion(players=12, seed=1),
    "affine, ragged": market(players=9, types=4, seed=2),
    "curves, ragged": ev_charging(vehicles=8, seed=3),
    "affine, d = 2": random_affine(players=7, actions=(2, 4), dimension=2, seed=4),
    "tabulated": tabulated(),
}


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_a_written_game_is_read_back_to_the_last_bit(game, tmp_path):
    algorithm = AggregativeNash("opt", zeta=0.25, cells=(5,) * game.n_coordinates, rounding="nearest")
    path = write_model(tmp_path / "game.yaml", game, algorithm, backend="scipy", seed=7, limits=Limits(2.5, 10))
    model = read_model(path)
    same_game(model.game, game)
    assert (model.algorithm, model.backend, model.seed, model.limits) == (algorithm, "scipy", 7, Limits(2.5, 10))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["game.npz", "game.yaml"]


def test_a_merged_game_keeps_its_players(tmp_path):
    game = AggregativeGame.from_dense(
        np.tile([[[0.0], [0.25]]], (4, 1, 1)), AffinePayoffs(np.tile([0.0, 0.3], 4), np.tile([[0.0], [-1.0]], (4, 1)))
    )
    merged = game.merged()
    assert merged.n_types == 1
    back = read_model(write_model(tmp_path / "merged.yaml", merged)).game
    plays = [2, 2]
    np.testing.assert_array_equal(back.profile(plays), merged.profile(plays))


def test_a_python_function_cannot_be_written(tmp_path):
    game = AggregativeGame(np.array([2]), np.array([[0.0], [1.0]]), CallablePayoffs(lambda c, x: x[:, 0], 1.0, 2, 1))
    with pytest.raises(InvalidData, match=r"payoff\.function is a function, which cannot be written"):
        write_model(tmp_path / "game.yaml", game)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("one", shipped_models(), ids=lambda one: one.name)
def test_shipped_models_say_what_they_are_and_solve(one):
    model = read_model(one.name)
    assert one.about
    assert model.description == one.about
    result = solve(model.game, model.algorithm, seed=model.seed, limits=model.limits)
    assert result.is_converged
    assert result.system.name == model.system == one.system
    assert result.recertified() == result.gap


def test_shipped_generators_have_the_parameters_of_the_file():
    same_game(read_model("congestion").game, congestion())
    same_game(read_model("random-affine").game, random_affine(players=300, actions=(2, 4), dimension=2))


def test_changes_replace_values_by_dotted_path():
    model = read_model("congestion", {"game.players": "40", "algorithm.tolerance": "1e-2", "limits.seconds": "3", "name": "mine"})
    assert (model.game.n_players, model.game.name, model.algorithm.tolerance, model.limits.seconds) == (40, "mine", 0.01, 3.0)


INLINE = """
eqsolve: 1
system: aggregative
game:
  n_actions: [2, 3]
  count: [4, 1]
  contribution: [0.0, 0.1, 0.0, 1e-1, 0.2]
  payoff:
    family: affine
    base: [0, 1, 0.5, 2, 1]
    slope: [0.5, -1, 0, -1, 1]
  welfare: [1, 0, 0, 0, 2]
  labels: {types: [crowd, 7], actions: [stay, go, stay, go, run], coordinates: [load]}
"""

FILES = """
eqsolve: 1
system: aggregative
game:
  n_actions: {npz: data.npz, key: m}
  count: {csv: types.csv, column: count}
  contribution: {csv: columns.csv, column: g}
  payoff:
    family: affine
    base: {csv: columns.csv, column: base}
    slope: {csv: columns.csv, columns: [slope]}
  welfare: {npz: data.npz, key: w}
  labels: {types: {csv: types.csv, column: name}, actions: {npz: data.npz, key: names}, coordinates: [load]}
"""


def test_arrays_inline_and_from_files_are_the_same_game(tmp_path):
    (tmp_path / "inline.yaml").write_text(INLINE)
    (tmp_path / "files.yaml").write_text(FILES)
    np.savez(tmp_path / "data.npz", m=[2, 3], w=[1.0, 0, 0, 0, 2], names=["stay", "go", "stay", "go", "run"])
    (tmp_path / "types.csv").write_text("\ufeffname,count\ncrowd,4\n7,1\n", encoding="utf-8")
    (tmp_path / "columns.csv").write_text('g, base ,slope\n0.0,0,0.5\n0.1,"1",-1\n\n0.0,0.5,0\n1e-1,2,-1\n0.2,1,1\n')
    one, other = read_model(tmp_path / "inline.yaml").game, read_model(tmp_path / "files.yaml").game
    same_game(one, other)
    assert one.n_players == 5
    assert one.types == ("crowd", "7")


def test_curves_by_node_are_the_transpose(tmp_path):
    text = """
eqsolve: 1
system: aggregative
game:
  n_actions: 2
  contribution: [[0.5, 0], [0, 0.5], [0.5, 0], [0, 0.5]]
  payoff: {family: curves, nodes: [0, 0.5, 1], %s, curve: [0, 1, 0, 1], coordinate: [0, 1, 0, 1], scale: [-1, -1, -2, -2]}
  labels: {actions: [left, right]}
"""
    (tmp_path / "a.yaml").write_text(text % "curves: [[1, 2, 5], [2, 2, 3]]")
    (tmp_path / "b.yaml").write_text(text % "by_node: [[1, 2], [2, 2], [5, 3]]")
    one = read_model(tmp_path / "a.yaml").game
    same_game(one, read_model(tmp_path / "b.yaml").game)
    assert isinstance(one.payoff, CurvePayoffs)
    assert one.actions == ("left", "right", "left", "right")
    assert one.payoff.at(np.array([2]), np.array([[0.75, 0.0]]))[0] == pytest.approx(-2 * 3.5)


def test_polynomials_in_a_file(tmp_path):
    text = """
eqsolve: 1
system: aggregative
game:
  n_actions: 2
  contribution: [0, 1]
  payoff: {family: polynomial, powers: [0, 2], coefficient: [[1, -1], [0.5, 2]]}
"""
    (tmp_path / "a.yaml").write_text(text)
    game = read_model(tmp_path / "a.yaml").game
    assert isinstance(game.payoff, PolynomialPayoffs)
    np.testing.assert_allclose(game.payoff.batch(np.array([[0.5]])), [[0.75, 1.0]])


def test_the_written_yaml_is_plain(tmp_path):
    path = write_model(tmp_path / "game.yaml", congestion(players=4))
    values = yaml.safe_load(path.read_text())
    assert values["eqsolve"] == 1
    assert values["game"] == {"npz": "game.npz"}
    with np.load(tmp_path / "game.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["contribution"], congestion(players=4).contribution)
