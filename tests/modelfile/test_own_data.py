"""A person's own game: travellers and travel times from CSV files."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eqsolve.aggregative import nash_gap
from eqsolve.cli import main
from eqsolve.errors import InvalidModelFile
from eqsolve.modelfile import read_model

PROJECT = Path(__file__).resolve().parents[2]
TOY = PROJECT / "examples" / "own-data"
REAL = PROJECT.parent / "shared" / "data" / "transport" / "SiouxFalls_trips.tntp"
BACKENDS = ("auto", "highs", "scipy", "pulp:PULP_CBC_CMD", "cvxpy:CLARABEL")

TRIPS = """<NUMBER OF ZONES> 4
<END OF METADATA>

Origin 	1
    1 :      0.0;     2 :    150.0;     3 :    200.0;     4 :     50.0;

Origin 	2
    1 :    900.0;     2 :      0.0;     3 :    100.0;     4 :    100.0;
"""


def made_from(trips: Path, folder: Path) -> Path:
    """The steps of docs/own-data.md."""
    subprocess.run([sys.executable, TOY / "from_tntp.py", trips, "1", folder], check=True)
    shutil.copy(TOY / "corridors.yaml", folder / "mine.yaml")
    return folder / "mine.yaml"


def gap_by_hand(folder: Path, actions: Path) -> float:
    """The Nash gap from the CSV files alone: what any traveller gains on another corridor, given his own load there."""
    times = np.loadtxt(folder / "times.csv", delimiter=",", skiprows=1)
    with (folder / "demand.csv").open() as file:
        demand = {row["destination"]: row for row in csv.DictReader(file)}
    with actions.open() as file:
        chosen = [(row["type"], row["action"]) for row in csv.DictReader(file)]
    names = ["north", "centre", "south"]
    load = np.array([10.0 * sum(action == name for _, action in chosen) for name in names])
    assert len(chosen) == sum(int(row["players"]) for row in demand.values())
    worst = 0.0
    for place, action in set(chosen):
        row, k = demand[place], names.index(action)
        rate = float(row["value_of_time"])
        there = [np.interp(load[r] + 10.0 * (r != k), times[:, 0], times[:, 1 + r]) for r in range(3)]
        cost = [rate * (float(row[name]) + minutes) for name, minutes in zip(names, there, strict=True)]
        worst = max(worst, cost[k] - min(cost))
    return worst


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_toy_of_the_project(backend, tmp_path, capsys):
    status = main(["solve", str(TOY / "corridors.yaml"), "--backend", backend, "--json", "--out", str(tmp_path)])
    result = json.loads(capsys.readouterr().out)
    assert (status, result["status"], result["gap"]["method"]) == (0, "converged", "exact")
    assert result["gap"]["upper"] == pytest.approx(gap_by_hand(TOY, tmp_path / "actions.csv"), abs=1e-9)
    assert result["gap"]["upper"] <= result["bounds"][0]["value"] + 1e-9
    assert result["value_bound"] == pytest.approx(-342.15, abs=1e-5)


@pytest.mark.parametrize(
    "trips", [TRIPS, *([REAL.read_text()] if REAL.exists() else [])], ids=["toy", "SiouxFalls"][: 1 + REAL.exists()]
)
def test_a_tntp_file_becomes_a_game(trips, tmp_path, capsys):
    (tmp_path / "trips.tntp").write_text(trips)
    model = made_from(tmp_path / "trips.tntp", tmp_path)
    bounds = set()
    for backend in BACKENDS:
        status = main(["solve", str(model), "--backend", backend, "--json", "--out", str(tmp_path / "out")])
        result = json.loads(capsys.readouterr().out)
        assert status == 0
        assert result["gap"]["upper"] == pytest.approx(gap_by_hand(tmp_path, tmp_path / "out" / "actions.csv"), abs=1e-9)
        bounds.add(round(result["value_bound"], 4))
    assert len(bounds) == 1
    assert read_model(model).game.n_players == (880 if trips != TRIPS else 40)


def test_one_row_per_player_is_the_same_game(tmp_path):
    for name in ("times.csv", "corridors.yaml"):
        shutil.copy(TOY / name, tmp_path)
    with (TOY / "demand.csv").open() as file:
        rows = list(csv.reader(file))
    each = [row for row in rows[1:] for _ in range(int(row[1]))]
    with (tmp_path / "demand.csv").open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *each])
    text = (tmp_path / "corridors.yaml").read_text()
    (tmp_path / "corridors.yaml").write_text("\n".join(line for line in text.splitlines() if "column: players" not in line))
    single, grouped = read_model(tmp_path / "corridors.yaml"), read_model(TOY / "corridors.yaml")
    assert (single.game.n_types, single.game.merged().n_types, grouped.game.n_types) == (120, 5, 5)
    one, other = (model.algorithm.solve(model.game) for model in (single, grouped))
    np.testing.assert_array_equal(one.plays, other.plays)
    assert nash_gap(single.game, single.game.plays(one.actions)).upper == one.gap.upper == other.gap.upper


def changed(tmp_path, name, old, new):
    for one in ("times.csv", "demand.csv", "corridors.yaml"):
        shutil.copy(TOY / one, tmp_path)
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new))
    return tmp_path / "corridors.yaml"


BAD = {
    "players below 1": ("demand.csv", "market hall,30", "market hall,0", "count"),
    "half a player": ("demand.csv", "market hall,30", "market hall,2.5", r"travellers\.count\[0\] is 2\.5"),
    "a negative value of time": ("demand.csv", "30,0.22", "30,-0.22", r"travellers\.value_of_time\[0\] is -0\.22"),
    "text for minutes": ("demand.csv", "0.22,2,0,5", "0.22,two,0,5", r"demand\.csv:2: column 'north' is 'two'"),
    "a table that ends too early": ("times.csv", "1200,", "1199,", "covers .0, 1199.* ranges over .0, 1200"),
    "a load that falls": ("times.csv", "\n100,", "\n500,", "The grid must increase"),
    "a label too many": (
        "corridors.yaml",
        "labels: [north, centre, south]",
        "labels: [north, south]",
        "names 2 routes, but .* 3 columns",
    ),
    "a column that is not there": ("corridors.yaml", "column: trips", "column: trip", "Did you mean 'trips'"),
    "no travellers": ("corridors.yaml", "  travellers:", "  others:", "unknown key game.others"),
}


@pytest.mark.parametrize(("name", "old", "new", "words"), BAD.values(), ids=BAD)
def test_bad_tables(name, old, new, words, tmp_path):
    with pytest.raises(InvalidModelFile, match=words):
        read_model(changed(tmp_path, name, old, new))


def test_rows_that_do_not_agree(tmp_path):
    path = changed(tmp_path, "corridors.yaml", "count: {csv: demand.csv, column: players}", "count: [1, 2]")
    with pytest.raises(InvalidModelFile, match=r"travellers\.value_of_time has 5 rows, travellers\.count has 2"):
        read_model(path)
