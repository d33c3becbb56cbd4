"""Sweeps: the table, whatever ran where; resumption; refusals."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from eqsolve.backends import Limits
from eqsolve.cli import main
from eqsolve.driver import InvalidRun, Result, solve
from eqsolve.errors import FileTrouble, InvalidData, UnknownName
from eqsolve.modelfile import read_model, write_model
from eqsolve.sweep import Plan, parse_seeds, parse_values, read_rows, sweep, to_frame
from eqsolve.sweep.figure import sweep_figure
from eqsolve.sweep.table import collect

SETTINGS = {"game.players": [20, 35], "algorithm.tolerance": ["opt", "existence"]}
FIXED = ("status", "value", "gap_lower", "gap_upper", "iterations")


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def timeless(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps") / "done"
    sweep("market", SETTINGS, 2, folder)
    return folder


@pytest.fixture
def swept(done, tmp_path):
    return shutil.copytree(done, tmp_path / "swept")


def test_every_row_is_the_run_of_its_own(done):
    rows = read_rows(done)
    wanted = [(n, t, s) for n in SETTINGS["game.players"] for t in SETTINGS["algorithm.tolerance"] for s in range(2)]
    assert [(row["game.players"], row["algorithm.tolerance"], row["seed"]) for row in rows] == wanted
    assert [row["run"] for row in rows] == list(range(8))
    for row in rows:
        model = read_model("market", {"game.players": row["game.players"], "algorithm.tolerance": row["algorithm.tolerance"]})
        result = solve(model.game, model.algorithm, seed=row["seed"])
        saved = Result.load(done / row["folder"])
        assert saved.gap == result.gap == saved.recertified()
        assert (row["gap_lower"], row["gap_upper"], row["value"]) == (result.gap.lower, result.gap.upper, result.value)
        assert (row["status"], row["iterations"], row["error"]) == ("converged", result.iterations, None)
        assert row["bound vertex rounding"] == result.bounds[0].value
        assert row["folder"].startswith(f"{row['run']:04d}-players={row['game.players']}-")


def test_the_table_is_written_as_csv_and_json_with_a_figure(done):
    rows = read_rows(done)
    with (done / "table.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [list(row) for row in read] == [list(row) for row in rows]
    assert [float(row["gap_upper"]) for row in read] == [row["gap_upper"] for row in rows]
    assert (done / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_table_is_the_same_whatever_ran_where(jobs, done, tmp_path):
    assert timeless(sweep("market", SETTINGS, 2, tmp_path / "again", jobs)) == timeless(read_rows(done))


def test_a_cluster_of_worker_processes_gives_the_same_table(done, tmp_path):
    pytest.importorskip("distributed")
    # A process of its own: a cluster leaves threads and open sockets behind for a while.
    script = f"""
import os
from pathlib import Path
import joblib
from distributed import Client
from eqsolve.sweep import sweep
if __name__ == "__main__":
    with Client(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as client:
        pids = set(client.run(os.getpid).values())
        with joblib.parallel_config(backend="dask"):
            rows = sweep("market", {SETTINGS!r}, 2, {str(tmp_path / "dask")!r})
        held = client.run(lambda: "eqsolve.sweep.run" in __import__("sys").modules)
    assert len(pids) == 2 and os.getpid() not in pids
    assert any(held.values()), held
"""
    (tmp_path / "cluster.py").write_text(script)
    subprocess.run([sys.executable, tmp_path / "cluster.py"], check=True, cwd=tmp_path, capture_output=True, timeout=120)
    assert timeless(read_rows(tmp_path / "dask")) == timeless(read_rows(done))


def test_a_failing_run_does_not_lose_the_others(capsys, tmp_path):
    status, out, _ = run(
        capsys, "sweep", "market", "--set", "game.players=20,-1,35", "--seeds", "3,5", "--out", tmp_path / "s", "--json"
    )
    told = json.loads(out)
    assert (status, told["runs"], told["converged"]) == (1, 6, 4)
    assert len({tuple(row) for row in told["rows"]}) == 1
    for row in told["rows"]:
        bad = row["game.players"] == -1
        assert (row["status"], row["error"] is None) == ((None, False) if bad else ("converged", True))
    assert "players is -1" in told["rows"][2]["error"]
    assert [row["seed"] for row in told["rows"]] == [3, 5] * 3
    status, out, _ = run(capsys, "report", tmp_path / "s")
    assert status == 0
    assert "not run" in out
    assert out.count("converged") == 4


def test_an_error_that_nobody_meant_is_of_its_run_alone(tmp_path, monkeypatch):
    from eqsolve.sweep import run as module

    original = module.solve

    def failing(game, *arguments, **options):
        if game.n_players == 35:
            raise ZeroDivisionError("a bug")
        return original(game, *arguments, **options)

    monkeypatch.setattr(module, "solve", failing)
    rows = sweep("market", {"game.players": [35, 20]}, 1, tmp_path / "s", 1)
    assert [row["error"] for row in rows] == ["ZeroDivisionError: a bug", None]
    monkeypatch.undo()
    rows = sweep("market", {"game.players": [35, 20]}, 1, tmp_path / "s", 1, resume=True)
    assert [row["status"] for row in rows] == ["converged", "converged"]


def test_resuming_runs_only_what_is_missing(swept, monkeypatch):
    before = read_rows(swept)
    stamps = {path: path.stat().st_mtime_ns for path in swept.glob("*/manifest.json")}
    shutil.rmtree(swept / before[2]["folder"])
    (swept / before[5]["folder"] / "manifest.json").unlink()
    (swept / "table.csv").unlink()
    rows = sweep("market", SETTINGS, 2, swept, resume=True)
    assert timeless(rows) == timeless(before)
    again = {path.parent.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert again == {before[2]["folder"], before[5]["folder"]}
    assert (swept / "table.csv").exists()


def test_a_changed_byte_in_a_finished_run_is_told(swept, capsys):
    at = swept / read_rows(swept)[3]["folder"] / "policy.npz"
    data = at.read_bytes()
    at.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
    values = [f"--set={key}={','.join(map(str, values))}" for key, values in SETTINGS.items()]
    status, out, _ = run(capsys, "sweep", "market", *values, "--seeds", 2, "--out", swept, "--resume", "--json")
    rows = json.loads(out)["rows"]
    assert status == 1
    assert [row["run"] for row in rows if row["error"]] == [3]
    assert "policy.npz has changed" in rows[3]["error"]


def test_a_budget_that_grew_lets_runs_go_on(tmp_path):
    rows = sweep("congestion", {}, 1, tmp_path / "s", limits=Limits(iterations=6))
    assert rows[0]["status"].startswith("stopped by its budget of iterations")
    manifest = tmp_path / "s" / rows[0]["folder"] / "manifest.json"
    stamp = manifest.stat().st_mtime_ns
    assert sweep("congestion", {}, 1, tmp_path / "s", limits=Limits(iterations=6), resume=True) == rows
    assert manifest.stat().st_mtime_ns == stamp
    (row,) = sweep("congestion", {}, 1, tmp_path / "s", resume=True)
    model = read_model("congestion")
    assert (row["status"], row["gap_upper"]) == ("converged", solve(model.game, model.algorithm).gap.upper)


def test_what_the_call_says_goes_before_what_the_model_says(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "eqsolve: 1\nsystem: aggregative\nbackend: scipy\nlimits: {iterations: 3, seconds: 1.0e-9}\n"
        "game: {generator: congestion, players: 20}\n"
    )
    limits = Limits(seconds=60.0, iterations=2)
    (row,) = sweep(path, {}, 1, tmp_path / "s", backend="highs", limits=limits)
    result = Result.load(tmp_path / "s" / row["folder"])
    assert (result.provenance.backend, row["iterations"]) == ("highs", 2)
    (row,) = sweep(path, {}, 1, tmp_path / "t", limits=Limits(seconds=60.0))
    assert (Result.load(tmp_path / "t" / row["folder"]).provenance.backend, row["iterations"]) == ("scipy", 3)
    for none in (Limits(seconds=60.0, iterations=0), Limits()):
        (row,) = sweep(path, {}, 1, tmp_path / f"none {none.iterations}", limits=none)
        assert row["error"].startswith("NoFeasibleCell: the run ended before")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_finished_runs(number, done, tmp_path):
    def stop(count, of):
        if count == 3:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    rows = sweep("market", SETTINGS, 2, tmp_path / "s", 1, progress=stop)
    assert signal.getsignal(number) is before
    assert [row["status"] for row in rows] == ["converged"] * 3 + [None] * 5
    assert timeless(rows)[:3] == timeless(read_rows(done))[:3]
    assert timeless(sweep("market", SETTINGS, 2, tmp_path / "s", resume=True)) == timeless(read_rows(done))


def test_a_signal_inside_a_run_ends_the_sweep(toy, tmp_path, monkeypatch):
    from tests.driver.toy import Walk

    step = Walk.step

    def stopping(self, game, state, run):
        if run.seed == 1 and run.iteration == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, game, state, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Walk, "step", stopping)
        rows = sweep(toy, {}, 3, tmp_path / "s", 1, checkpoint_seconds=0)
    assert [row["status"] for row in rows] == ["converged", "interrupted before it was complete", None]
    rows = sweep(toy, {}, 3, tmp_path / "s", 1, resume=True)
    assert "resumed from" in Result.load(tmp_path / "s" / rows[1]["folder"]).provenance.notes[0]
    assert timeless(rows) == timeless(sweep(toy, {}, 3, tmp_path / "t", 1))


REFUSALS = {
    "other settings": (("market", {"game.players": [20]}, 2), "a sweep with other settings"),
    "other seeds": (("market", SETTINGS, 3), "a sweep with other seeds"),
    "another model": (("congestion", SETTINGS, 2), "a sweep of another model"),
}


@pytest.mark.parametrize(("call", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_folder_with_another_sweep_is_refused(call, words, swept):
    before = {path: path.read_bytes() for path in swept.rglob("*") if path.is_file()}
    with pytest.raises(InvalidData, match=words):
        sweep(*call, swept, resume=True)
    with pytest.raises(FileTrouble, match="holds this sweep already"):
        sweep("market", SETTINGS, 2, swept)
    assert {path: path.read_bytes() for path in swept.rglob("*") if path.is_file()} == before


def test_a_data_file_that_changed_is_noticed(tmp_path):
    model = read_model("market", {"game.players": 20})
    path = write_model(tmp_path / "mine.yaml", model.game)
    sweep(path, {}, 1, tmp_path / "s")
    write_model(tmp_path / "mine.yaml", read_model("market", {"game.players": 21}).game)
    (row,) = sweep(path, {}, 1, tmp_path / "s", resume=True)
    assert row["error"].startswith(f"{InvalidRun.__name__}: ")
    assert "is of another game" in row["error"]


BAD = {
    "a misspelt key": (["--set", "game.playrs=1,2"], "Did you mean 'players'"),
    "no value": (["--set", "game.players="], "holds no values"),
    "no key": (["--set", "=1"], "is not KEY=VALUE"),
    "open bracket": (["--set", "game.players=[1"], "is not a list of values"),
    "a value twice": (["--set", "game.players=5,5"], "has the value 5 twice"),
    "a key twice": (["--set", "game.players=5", "--set", "game.players=6"], "a key is given to --set twice"),
    "the seed as a setting": (["--set", "seed=1,2"], "the setting seed is given twice"),
    "the backend twice": (["--set", "backend=highs,scipy", "--backend", "highs"], "the setting backend is given twice"),
    "infinite": (["--set", "algorithm.tolerance=.inf"], "no plain finite value"),
    "a date": (["--set", "name=2020-01-01"], "no plain finite value"),
    "seeds in words": (["--seeds", "few"], "'few' names no seeds"),
    "no seeds": (["--seeds", "0"], "names no seeds"),
    "a seed twice": (["--seeds", "1,1"], "each of them once"),
    "no jobs": (["--jobs", "0"], "n_jobs is 0"),
    "no seconds": (["--seconds", "0"], "--seconds is 0"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=BAD)
def test_bad_requests_are_refused_and_write_nothing(arguments, words, capsys, tmp_path):
    status, out, err = run(capsys, "sweep", "market", *arguments, "--out", tmp_path / "s")
    assert (status, out) == (2, "")
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_used(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is a file, not a folder" in run(capsys, "sweep", "market", "--out", tmp_path / "file")[2]
    assert "cannot save in /proc/s" in run(capsys, "sweep", "market", "--out", "/proc/s")[2]
    run(capsys, "solve", "market", "--out", tmp_path / "run")
    assert "holds a run of its own" in run(capsys, "sweep", "market", "--out", tmp_path / "run")[2]
    with pytest.raises(UnknownName, match="Did you mean 'market'"):
        sweep("markett", {}, 1, tmp_path / "s")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "sweep.json").write_text("{")
    with pytest.raises(InvalidData, match=r"sweep\.json is damaged"):
        sweep("market", {}, 1, tmp_path / "s", resume=True)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2", (1, 2)),
        ("0.5, opt", (0.5, "opt")),
        ("'a,b',c", ("a,b", "c")),
        ("[5, 5],[10, 10]", ([5, 5], [10, 10])),
        ("[5, 5]", ([5, 5],)),
        ("{a: 1},{a: 2}", ({"a": 1}, {"a": 2})),
        ("'1','2'", ("1", "2")),
        ("yes,null", (True, None)),
    ],
)
def test_values_are_read_as_yaml(text, values):
    assert parse_values(text) == values


def test_text_stays_text_and_lists_stay_lists(tmp_path):
    rows = sweep("market", {"name": ["7", "a, b: c"], "algorithm.cells": [[9], [12]]}, 1, tmp_path / "s")
    games = [Result.load(tmp_path / "s" / row["folder"]) for row in rows]
    assert [result.game.name for result in games] == ["7", "7", "a, b: c", "a, b: c"]
    assert [result.algorithm.cells for result in games] == [(9,), (12,), (9,), (12,)]
    assert len({row["folder"] for row in rows}) == 4


@pytest.mark.parametrize("text", ["-1", "1.5", "5..4", "1,,2", "", "1..2..3"])
def test_what_names_no_seeds(text):
    with pytest.raises(InvalidData, match="names no seeds"):
        parse_seeds(text)


def test_a_figure_needs_an_answer_and_takes_any_settings(tmp_path):
    rows = sweep("market", {"game.players": [20], "algorithm.tolerance": ["opt", 0.2, 0.1]}, 2, tmp_path / "words")
    assert len(rows) == 6
    assert (tmp_path / "words" / "figure.png").exists()
    sweep("market", {"game.players": [20]}, [4, 2], tmp_path / "seeds")
    assert (tmp_path / "seeds" / "figure.png").exists()


def test_without_seeds_the_model_has_its_own(tmp_path):
    model = read_model("market", {"game.players": 20})
    path = write_model(tmp_path / "mine.yaml", model.game, seed=7)
    assert [row["seed"] for row in sweep(path, {"algorithm.tolerance": ["opt", "existence"]}, folder=tmp_path / "s")] == [7, 7]


def test_rows_become_a_frame(done):
    pandas = pytest.importorskip("pandas")
    frame = to_frame(read_rows(done))
    assert isinstance(frame, pandas.DataFrame)
    assert frame.groupby("game.players")["gap_upper"].max().loc[20] == max(
        row["gap_upper"] for row in read_rows(done) if row["game.players"] == 20
    )


@pytest.mark.parametrize("seeds", ["100001", "0..99999999999", "9" * 40])
def test_too_many_seeds_are_refused_at_once(seeds):
    with pytest.raises(InvalidData, match=r"names .* seeds|too large"):
        parse_seeds(seeds)


def test_a_sweep_of_too_many_runs_is_refused(tmp_path):
    many = {f"game.{key}": list(range(1, 101)) for key in ("players", "quantities", "seed")}
    with pytest.raises(InvalidData, match="the sweep has 1,000,000 runs"):
        sweep("market", many, 1, tmp_path / "s")
    with pytest.raises(InvalidData, match=r"seeds is 1\.5"):
        sweep("market", {}, 1.5, tmp_path / "s")
    with pytest.raises(InvalidData, match=r"limits\.seconds is nan"):
        sweep("market", {}, 1, tmp_path / "s", limits=Limits(seconds=float("nan")))
    assert not (tmp_path / "s").exists()


def test_a_figure_leaves_out_what_is_not_finite():
    rows = [{"seed": k, "value": 1.0, "gap_upper": gap, "x": 10**400 if k else 2} for k, gap in enumerate((0.5, "inf", 0.25))]
    figure = sweep_figure(rows, {"x": [2, 10**400]})
    assert [len(axis.lines[0].get_xdata()) for axis in figure.axes] == [2, 2]
    assert sweep_figure(rows[1:2], {}) is None


def test_damaged_tables_and_errors_are_told(swept):
    before = read_rows(swept)
    (swept / before[0]["folder"] / "error.json").write_text("{")
    rows = collect(swept, Plan.of("market", SETTINGS, 2).cells())
    assert "error.json is damaged" in rows[0]["error"]
    assert timeless(rows[1:]) == timeless(before[1:])
    (swept / "table.json").write_text("{")
    with pytest.raises(InvalidData, match=r"table\.json is damaged"):
        read_rows(swept)


def test_a_sweep_of_another_version_or_format_is_refused(swept, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("eqsolve.sweep.plan.__version__", "9.9")
        with pytest.raises(InvalidData, match="a sweep with other version"):
            sweep("market", SETTINGS, 2, swept, resume=True)
    (swept / "sweep.json").write_text('{"eqsolve_sweep": 2}')
    with pytest.raises(InvalidData, match="has the format 2, and this version reads 1"):
        sweep("market", SETTINGS, 2, swept, resume=True)


def test_a_figure_draws_the_first_combinations_with_their_spread():
    rows = [
        {"seed": seed, "x": x, "y": y, "value": 1.0, "gap_upper": float(x + y + spread)}
        for x in (1, 2)
        for y in range(12)
        for seed, spread in enumerate((0.0, 1.0, 5.0))
    ]
    figure = sweep_figure(rows, {"x": [1, 2], "y": list(range(12))})
    gap = figure.axes[0]
    assert [line.get_label() for line in gap.lines] == [f"y {y}" for y in range(10)]
    assert gap.lines[3].get_ydata().tolist() == [6.0, 7.0]
    assert set(gap.collections[3].get_paths()[0].vertices[:, 1]) == {4.0, 5.0, 9.0, 10.0}
    assert figure.get_suptitle() == "10 of 12 combinations"
