"""The commands: what they print, where, and the exit status."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from eqsolve.backends import all_backends, solve_program
from eqsolve.certificates import certify
from eqsolve.cli import main
from eqsolve.cli.inspect import parse_entry
from eqsolve.modelfile import read_model
from eqsolve.programs import Program

SMALL = ["--set", "game.players=60"]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def test_solve_prints_the_certified_gap(capsys):
    status, out, err = run(capsys, "solve", "congestion")
    assert status == 0
    assert err == ""
    assert "1,000 players" in out
    assert "Nash gap" in out
    assert " exact " in out
    assert out.rstrip().endswith("converged")


def test_json_is_one_object_and_nothing_else(capsys):
    status, out, err = run(capsys, "solve", "congestion", *SMALL, "--json", "--seed", "5", "--backend", "highs")
    result = json.loads(out)
    assert (status, err) == (0, "")
    assert {"status", "value", "gap", "bounds", "iterations", "seconds", "model", "algorithm", "backend", "seed", "version"} <= set(
        result
    )
    assert {"concept", "lower", "upper", "method", "witness"} <= set(result["gap"])
    assert (result["status"], result["seed"], result["gap"]["concept"]) == ("converged", 5, "NE")
    assert result["backend"].startswith("highs")


def test_out_saves_what_was_found(capsys, tmp_path):
    status, out, _ = run(capsys, "solve", "congestion", *SMALL, "--out", str(tmp_path / "deep" / "run"))
    assert status == 0
    assert "saved in" in out
    game = read_model("congestion", {"game.players": "60"}).game
    folder = tmp_path / "deep" / "run"
    with np.load(folder / "policy.npz") as saved, (folder / "actions.csv").open() as file:
        plays = saved["plays"]
        rows = list(csv.DictReader(file))
    result = json.loads((folder / "result.json").read_text())
    assert result["value"] == pytest.approx(game.social_welfare(plays))
    assert [row["action"] for row in rows] == [f"road {k}" for k in game.profile(plays)]


REFUSED = {
    "unknown model": (["solve", "congstion"], "Did you mean 'congestion'"),
    "unknown key": (["solve", "congestion", "--set", "game.playrs=3"], "Did you mean 'players'"),
    "a change without a value": (["solve", "congestion", "--set", "game.players"], "is not KEY=VALUE"),
    "unknown backend": (["solve", "congestion", "--backend", "higs"], "Did you mean 'highs'"),
    "unknown solver": (["solve", "congestion", "--backend", "cvxpy:CLARABELL"], "CLARABEL"),
    "a backend that takes no LP": (["solve", "congestion", "--backend", "cvxpy:OSQP"], "does not solve LP"),
    "no seconds": (["solve", "congestion", "--seconds", "0"], "--seconds is 0"),
    "NaN seconds": (["solve", "congestion", "--seconds", "nan"], "--seconds is nan"),
    "unknown selector": (["inspect", "congestion", *SMALL, "--program", "celll:3"], "unknown program 'celll:3'"),
    "a cell too far": (["inspect", "market", "--program", "cell:326"], "no cell 326 in a grid of 326"),
    "a cell that is no number": (["inspect", "market", "--program", "cell:x"], "no cell x"),
    "unknown row": (["inspect", "congestion", *SMALL, "--program", "base", "--row", "agregator[0]"], "Did you mean 'aggregator'"),
    "unknown label": (
        ["inspect", "congestion", *SMALL, "--program", "base", "--row", "aggregator[raod 1]"],
        "Did you mean 'road 1'",
    ),
    "a row too far": (["inspect", "congestion", *SMALL, "--program", "base", "--row", "aggregator[3]"], "0 to 2"),
    "open bracket": (["inspect", "congestion", *SMALL, "--program", "base", "--column", "p[0"], "does not name a row or column"),
    "unknown extension": (["inspect", "congestion", *SMALL, "--program", "base", "--write", "stage.xlsx"], "'.xlsx'"),
    "no folder to write in": (["inspect", "congestion", *SMALL, "--write", "nowhere/stage.lp"], "no folder nowhere"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_backend_says_what_to_do(capsys):
    unusable = [one for one in all_backends() if not one.probe().usable]
    for backend in unusable[:3]:
        status, out, err = run(capsys, "solve", "congestion", "--backend", backend.name, "--json")
        assert (status, out) == (2, "")
        assert backend.probe().detail in err


def test_a_file_in_the_way_of_out(capsys, tmp_path, monkeypatch):
    (tmp_path / "run").write_text("mine")
    monkeypatch.setattr("eqsolve.cli.solve.run_model", lambda *_: pytest.fail("solved before the folder was checked"))
    status, _, err = run(capsys, "solve", "congestion", *SMALL, "--out", str(tmp_path / "run"))
    assert status == 2
    assert "is a file, not a folder" in err
    status, _, err = run(capsys, "solve", "congestion", *SMALL, "--out", str(tmp_path / "run" / "deeper"))
    assert status == 2
    status, _, err = run(capsys, "solve", "congestion", *SMALL, "--out", "/proc/run")
    assert status == 2
    assert "cannot save in /proc/run" in err
    assert (tmp_path / "run").read_text() == "mine"


def test_running_out_of_budget_is_not_convergence(capsys, tmp_path):
    status, out, _ = run(capsys, "solve", "congestion", "--iterations", "6", "--json", "--out", str(tmp_path))
    result = json.loads(out)
    assert status == 1
    assert result["status"] == "stopped by its budget of iterations before it was complete"
    assert result["iterations"] == 6
    assert result["value_bound"] > result["value"] + 1e-3
    assert json.loads((tmp_path / "result.json").read_text())["status"] == result["status"]


def test_a_budget_that_ends_before_anything(capsys, tmp_path):
    status, out, err = run(capsys, "solve", "congestion", "--seconds", "1e-6", "--json", "--out", str(tmp_path / "run"))
    assert status == 1
    assert json.loads(out)["gap"] is None
    assert "ended before a feasible cell was found" in err
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_inspect_prints_the_program_and_its_rows(capsys):
    status, out, _ = run(capsys, "inspect", "congestion", *SMALL)
    assert status == 0
    assert "p[player, action]" in out
    assert "aggregator[coordinate]" in out
    status, out, _ = run(
        capsys, "inspect", "congestion", *SMALL, "--row", "aggregator[road 1]", "--row", "one_action[7]", "--column", "p[7, 2]"
    )
    lines = out.splitlines()
    assert lines[0].startswith("aggregator[road 1]: ")
    assert lines[1] == "one_action[7]: p[7, road 0] + p[7, road 1] + p[7, road 2] = 1"
    assert any(line.split() == ["one_action[7]", "1"] for line in lines)


def test_inspect_json(capsys):
    status, out, _ = run(capsys, "inspect", "market", "--program", "cell:217", "--row", "aggregator[0]", "--json")
    summary = json.loads(out)
    assert status == 0
    assert (summary["kind"], summary["sense"]) == ("LP", "max")
    assert "cell 217 of 326" in summary["note"]
    assert summary["entries"]["aggregator[0]"].startswith("aggregator[mean quantity]")


@pytest.mark.parametrize("suffix", [".lp", ".mps", ".npz", ".json"])
def test_a_written_program_is_the_one_that_solve_selected(suffix, capsys, tmp_path):
    status, out, _ = run(capsys, "inspect", "congestion", *SMALL, "--write", str(tmp_path / f"stage{suffix}"))
    assert status == 0
    assert "180 columns, 63 rows" in out
    model = read_model("congestion", {"game.players": "60"})
    expected = model.algorithm.solve(model.game).found.outcome.objective
    program = Program.read(tmp_path / f"stage{suffix}")
    outcome = solve_program(program, "highs")
    assert certify(program, outcome).holds(1e-6)
    assert outcome.objective == pytest.approx(expected, abs=1e-6)


def test_a_foreign_solver_outside_the_library_agrees(capsys, tmp_path):
    status, _, _ = run(capsys, "inspect", "congestion", "--write", str(tmp_path / "stage.mps"))
    assert status == 0
    # CBC reads past the OBJSENSE section of an MPS file, hence -max.
    # Asked in another process: importing PuLP would load the libraries of every solver into this one.
    asked = [sys.executable, "-W", "ignore", "-c", "from pulp.apis.coin_api import pulp_cbc_path; print(pulp_cbc_path)"]
    cbc = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    command = [cbc, "stage.mps", "-max", "-solve", "-quit"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    words = done.stdout.partition("Optimal objective")[2].split()
    model = read_model("congestion")
    expected = model.algorithm.solve(model.game).found.outcome.objective
    assert abs(float(words[0])) == pytest.approx(abs(expected), abs=1e-4)


def test_backends_lists_every_backend(capsys):
    status, out, _ = run(capsys, "backends")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == [one.name for one in all_backends()]
    status, out, _ = run(capsys, "backends", "--json")
    rows = {one["name"]: one for one in json.loads(out)["backends"]}
    assert rows["highs"]["installed"]
    assert rows["highs"]["usable"]
    assert {"LP", "QP", "MILP"} <= set(rows["highs"]["kinds"])


def test_models_lists_the_shipped_models(capsys):
    status, out, _ = run(capsys, "models")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        "aggre-vi-small",
        "braess",
        "chicken",
        "congestion",
        "congestion-markov",
        "ev-charging",
        "federated",
        "grid-world",
        "market",
        "markov-coordination",
        "penalty",
        "random-affine",
        "search-drones",
        "warehouse",
    ]
    status, out, _ = run(capsys, "models", "--json")
    assert json.loads(out)["congestion"]["system"] == "aggregative"


@pytest.mark.parametrize(
    "arguments", [["solve"], ["solve", "congestion", "--bogus"], ["frobnicate"], ["solve", "congestion", "--seed", "x"]]
)
def test_usage_errors(arguments, capsys):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert "Traceback" not in err


def test_version_and_help(capsys):
    assert run(capsys, "--version")[:2] == (0, "eqsolve 0.1.0\n")
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert all(command in out for command in ("solve", "certify", "report", "sweep", "inspect", "backends", "models"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("aggregator[0]", ("aggregator", "0")),
        ("p[418, road 2]", ("p", "418", "road 2")),
        (" load ", ("load",)),
        ("x[a[1]]", ("x", "a[1]")),
    ],
)
def test_names_of_entries(text, parts):
    assert parse_entry(text) == parts


def test_a_reader_that_goes_away_is_no_error():
    with subprocess.Popen([sys.executable, "-m", "eqsolve", "backends"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in (0, 1)
