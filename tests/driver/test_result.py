"""Results in words, in files and as figures."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from eqsolve.aggregative import AggregativeNash, CallablePayoffs, congestion, random_affine
from eqsolve.backends import Limits
from eqsolve.driver import InvalidRun, Result, solve
from eqsolve.errors import FileTrouble, InvalidData, UnknownName
from tests.driver.toy import Target, Walk

GOAL = Target(np.array([0.3, -0.7]))


def test_print_tells_what_a_reader_needs():
    text = str(solve(GOAL, Walk()))
    for words in (
        "target   2 coordinates",
        "Walk, seed 0",
        "optimality gap",
        "exact",
        "worst: coordinate",
        "value",
        "converged",
    ):
        assert words in text
    cut = str(solve(GOAL, Walk(), limits=Limits(iterations=3)))
    assert "stopped by its budget of iterations" in cut
    assert "resume" in cut


def test_json_has_the_keys_of_the_design():
    found = solve(GOAL, Walk()).to_json()
    keys = ["status", "value", "gap", "bounds", "iterations", "seconds", "model", "algorithm", "backend", "seed", "version"]
    assert set(keys) <= set(found)
    assert set(found["gap"]) >= {"concept", "lower", "upper", "method", "witness"}
    assert json.loads(json.dumps(found)) == found
    assert found["algorithm"] == {"name": "Walk", "tolerance": 0.01, "wait": 0.0, "objects": False}


def test_a_saved_run_comes_back_whole(tmp_path):
    result = solve(GOAL, Walk(), seed=4)
    back = Result.load(result.save(tmp_path / "run"))
    assert back.policy.x.tobytes() == result.policy.x.tobytes()
    assert back.history.equals(result.history)
    assert back.to_json() == result.to_json()
    assert str(back) == str(result)
    assert back.recertified() == result.gap


@pytest.mark.parametrize("budget", [None, 2])
def test_a_saved_equilibrium_has_its_programs(budget, tmp_path):
    game = random_affine(40, (1, 4), 2, seed=3)
    result = solve(game, AggregativeNash("paper", cells=6), limits=Limits(iterations=budget))
    back = Result.load(result.save(tmp_path))
    assert type(back) is type(result)
    assert str(back) == str(result)
    assert back.to_json() == result.to_json()
    assert (back.program().A != result.program().A).nnz == 0
    assert back.program().note == result.program().note
    assert back.program(3).note == result.program(3).note
    assert back.bound == result.bound
    assert back.judged().status == result.status


def test_every_changed_byte_is_noticed(tmp_path):
    solve(congestion(8, 2), AggregativeNash(cells=3)).save(tmp_path / "run")
    files = sorted((tmp_path / "run").iterdir())
    assert {path.name for path in files} == {
        "actions.csv",
        "game.npz",
        "manifest.json",
        "policy.npz",
        "result.json",
        "run.npz",
    }
    for path in files:
        data = path.read_bytes()
        step = 1 if path.name == "manifest.json" else max(1, len(data) // 50)
        for at in range(0, len(data), step):
            path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
            with pytest.raises(InvalidRun, match=path.name.replace(".", r"\.")):
                Result.load(tmp_path / "run")
        for other in (data[:-1], data + b"\n", b""):
            path.write_bytes(other)
            with pytest.raises(InvalidRun, match=path.name.replace(".", r"\.")):
                Result.load(tmp_path / "run")
        path.write_bytes(data)
    Result.load(tmp_path / "run")


def test_a_missing_file_and_a_missing_run_are_told_apart(tmp_path):
    solve(GOAL, Walk()).save(tmp_path / "run")
    (tmp_path / "run" / "policy.npz").unlink()
    with pytest.raises(InvalidRun, match=r"policy\.npz is missing"):
        Result.load(tmp_path / "run")
    with pytest.raises(FileTrouble, match="no finished run"):
        Result.load(tmp_path)


def test_the_same_run_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        solve(GOAL, Walk(), seed=1).save(tmp_path / name)
    for name in ("game.npz", "policy.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def payoff(columns, x):
    return -x[:, 0] * (columns % 2)


def test_a_game_with_functions_is_given_when_its_run_is_loaded(tmp_path):
    base = random_affine(4, 2, 1)
    game = type(base)(base.n_actions, base.contribution, CallablePayoffs(payoff, 1.0, 8, 1))
    result = solve(game, AggregativeNash(cells=3))
    result.save(tmp_path)
    with pytest.raises(InvalidRun, match="does not hold its game"):
        Result.load(tmp_path)
    assert Result.load(tmp_path, game).recertified() == result.gap
    with pytest.raises(InvalidRun, match="another game"):
        Result.load(tmp_path, base)


def test_a_figure_shows_the_history(tmp_path):
    result = solve(GOAL, Walk(1e-6))
    figure = result.plot()
    assert [axis.get_ylabel() for axis in figure.axes] == ["distance", "tried", "warm"]
    assert figure.axes[0].get_yscale() == "log"
    (line,) = result.plot("distance").axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), result.history["distance"])
    figure.savefig(tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UnknownName, match="distance"):
        result.plot("distanse")


def test_a_run_without_programs_or_iterations_says_so(tmp_path):
    result = solve(GOAL, Walk())
    with pytest.raises(InvalidData, match="Walk solves no programs"):
        result.program()
    empty = solve(Target(np.zeros(1) + 1e-3), AlreadyThere())
    with pytest.raises(InvalidData, match="no iterations to plot"):
        empty.plot()
    shutil.rmtree(tmp_path)
    assert Result.load(empty.save(tmp_path)).iterations == 0


class AlreadyThere(Walk):
    """Done before the first step."""

    def finish(self, game, state, run):
        from tests.driver.toy import Guess

        return Guess(game.goal)
