"""``eqsolve reproduce mean-field``: its tables and figures, the claims, and that the seed decides every byte but the seconds."""

from __future__ import annotations

import csv
import io
import json
from contextlib import redirect_stdout

import pytest

from eqsolve.cli import main
from eqsolve.reproduce import mean_field, reproduce

TABLES = ("returns", "zones", "surrogates", "tolerance", "seconds", "claims")
FIGURES = ("returns", "zones", "surrogates", "seconds")
METHODS = ("exact", "steer to the mode", "sampled", "authors", "ascent")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder and the output of a quick reproduction."""
    folder, out = tmp_path_factory.mktemp("reproduced"), io.StringIO()
    with redirect_stdout(out):
        assert main(("reproduce", "mean-field", "--quick", "--out", str(folder))) == 0
    return folder, out.getvalue()


def rows_of(run, name):
    return json.loads((run[0] / f"{name}.json").read_text())


def test_tables_and_figures_are_there(run):
    folder, out = run
    expected = {f"{name}.{kind}" for name in TABLES for kind in ("csv", "json")} | {f"{name}.png" for name in FIGURES}
    assert {path.name for path in folder.iterdir()} == expected
    for name in TABLES:
        rows = rows_of(run, name)
        with (folder / f"{name}.csv").open(newline="") as file:
            head, *lines = csv.reader(file)
        assert head == list(rows[0])
        assert len(lines) == len(rows)
    for name in FIGURES:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert out.rstrip().splitlines()[-1].startswith("complete: 4 of 4 runs certified; 6 parts saved in ")


def test_the_claims_come_out(run):
    verdicts = {(row["where"], row["claim"]): row["reproduces"] for row in rows_of(run, "claims")}
    stable = {
        ("Figure 3, paper rewards", "returns increase in k: exact best responses"): True,
        ("Figure 3, paper rewards", "returns increase in k: the authors' code"): True,
        ("Figure 4, paper rewards", "the mode is met more often as k grows"): True,
        ("Figure 4", "at k = 2 the mode is met more than twice as often as at k = 1"): False,
        ("Theorem B.18", "values of different k are the same for the same histogram"): False,
        ("Theorem 4.2", "the bound is below the largest value"): False,
        ("Theorem 4.8", "Algorithm 3 with its own tolerance finds a policy"): False,
        ("G-LEARN", "the optimum of the k-surrogate is the best policy that sees k = 1"): False,
        ("not in the paper", "a few agents seen are certified to be enough"): False,
    }
    assert stable.items() <= verdicts.items()
    assert len(verdicts) == len(stable) + 3  # the three of the constant rewards, where a quick run may say either


def test_returns_are_below_what_is_proved_to_be_the_most(run):
    rows = rows_of(run, "returns")
    runs = {(form, method, k) for form in mean_field.FORMS for method in METHODS for k in mean_field.QUICK}
    missing = {(form, "ascent", 2) for form in mean_field.FORMS}
    assert {(row["rewards"], row["method"], row["k"]) for row in rows} == runs - missing
    for row in rows:
        assert row["return"] - row["half_width"] <= row["bound"]
        assert 0 < row["gap_upper"] < row["bound"]
        assert row["gap"] == pytest.approx(row["bound"] - row["return"], abs=row["half_width"] + row["gap_half_width"] + 2.0)
        assert (row["certified"] is True) == (row["surrogate"] is not None) == (row["method"] == "exact")
        assert 0 <= row["mode"] <= 1


def test_the_surrogate_promises_what_the_population_does_not_keep(run):
    rows = {row["k"]: row for row in rows_of(run, "surrogates")}
    assert rows[1]["surrogate"] > rows[2]["surrogate"] > rows[2]["return"] > rows[1]["return"]
    for row in rows_of(run, "tolerance"):
        assert row["eta"] > row["theorem_4_2"] > row["largest_value"] == pytest.approx(290.0)
        assert row["half_steps"] == 1


def test_zones_count_all_robots(run):
    rows = rows_of(run, "zones")
    assert [(row["k"], row["step"]) for row in rows] == [(k, t) for k in mean_field.QUICK for t in range(mean_field.STEPS)]
    for row in rows:
        robots = [row[f"zone_{z}"] for z in range(5)]
        assert sum(robots) == mean_field.ROBOTS
        assert row["mode"] == robots.index(max(robots))
    first = [[row[f"zone_{z}"] for z in range(5)] for row in rows if row["step"] == 0]
    assert first[0] == first[1]


def test_seconds_are_of_what_takes_some(run):
    rows = rows_of(run, "seconds")
    assert all(row["seconds"] > 0 for row in rows)
    assert {row["method"] for row in rows} == set(METHODS) - {"steer to the mode"}


def test_the_same_seed_writes_the_same_bytes(run, monkeypatch, tmp_path):
    """Of the rewards of the paper, and without the code of its authors, which is half of the work."""
    monkeypatch.setattr(mean_field, "FORMS", {"paper": "paper"})
    monkeypatch.setattr(mean_field, "AUTHORS", 0)
    parts = list(reproduce("mean-field", tmp_path, quick=True))
    assert tuple(part.name for part in parts) == TABLES
    for name in ("zones", "surrogates", "tolerance"):
        for path in tmp_path.glob(f"{name}.*"):
            assert path.read_bytes() == (run[0] / path.name).read_bytes(), path.name
    again, first = ((folder / "returns.csv").read_bytes().splitlines() for folder in (tmp_path, run[0]))
    assert len(again) == 8  # the head, ascent for k = 1, and three methods twice
    assert again == [line for line in first if line in again]


def test_another_seed_plays_other_rollouts(monkeypatch):
    from eqsolve.reproduce.parts import Work

    monkeypatch.setattr(mean_field, "QUICK", (1,))
    monkeypatch.setattr(mean_field, "STEPS", 20)
    game = mean_field.warehouse(mean_field.ROBOTS)
    found = {1: mean_field.Found(mean_field.steering(game, 1, game.uniform_local()), 0.0)}
    one, same, other = (mean_field.zones(Work(seed, quick=True), game, found).rows for seed in (0, 0, 1))
    assert one == same != other
