"""``eqsolve reproduce``: what it writes and prints, that the seed decides every byte, and what it refuses."""

from __future__ import annotations

import csv
import json
from itertools import pairwise

import pytest

from eqsolve.cli import main
from eqsolve.reproduce import PAPERS, bayesian_network, reproduce

PAPER = "bayesian-network"
TABLES = ("stuck", "convergence", "theorems", "structure", "gradients", "stationary", "claims")
FIGURES = ("stuck", "convergence", "bounds", "structure")


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = main(("reproduce", *arguments))
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A quick reproduction, from Python."""
    path = tmp_path_factory.mktemp("reproduced")
    parts = list(reproduce(PAPER, path, quick=True))
    assert tuple(part.name for part in parts) == TABLES
    assert all(part.certified == part.runs for part in parts)
    return path


def rows_of(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def test_tables_and_figures_are_there(folder):
    expected = {f"{name}.{kind}" for name in TABLES for kind in ("csv", "json")} | {f"{name}.png" for name in FIGURES}
    assert {path.name for path in folder.iterdir()} == expected
    for name in TABLES:
        rows = rows_of(folder, name)
        with (folder / f"{name}.csv").open(newline="") as file:
            head, *lines = csv.reader(file)
        assert head == list(rows[0])
        assert len(lines) == len(rows)
    for name in FIGURES:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_claims_come_out(folder):
    verdicts = {(row["where"], row["claim"]): row["reproduces"] for row in rows_of(folder, "claims")}
    wrong = {claim for claim, verdict in verdicts.items() if verdict is False}
    assert wrong == {
        ("section 4", "ascent from the uniform policy meets no saddle"),
        ("Lemma 1", "the gradient as printed, d not normalised"),
        ("Lemma 3, (4)", "pi >= 1 / (2 |A^i|)"),
        ("Lemma 3, proof", "pi(a^P) >= 1 / (2^N |A^P|)"),
    }
    undecided = {claim for (_, claim), verdict in verdicts.items() if verdict is None}
    assert undecided <= {f"the steps of the {form} form are enough" for form in ("paper", "corrected", "telescoped")}


NOTES = [
    # k, lambda, product: value and Nash gap from the uniform policy; dense: value and optimality gap
    ("penalty, k = -10", 0.1, 1.8667, 0.066, 9.92238, 0.0776),
    ("penalty, k = -10", 0.01, 1.9867, 0.0067, 9.99222, 0.00778),
    ("penalty, k = -100", 1.0, 1.170, 0.63, 9.2361, 0.764),
    ("penalty, k = -100", 0.1, 1.8895, 0.066, 9.92236, 0.0776),
]


@pytest.mark.parametrize(("game", "lam", "stuck", "nash", "best", "gap"), NOTES)
def test_product_policies_are_stuck_where_dense_ones_are_not(folder, game, lam, stuck, nash, best, gap):
    rows = [row for row in rows_of(folder, "stuck") if (row["game"], row["lambda"]) == (game, lam)]
    product = [row for row in rows if row["network"] == "product" and row["method"] == "AgentwiseBarrierIteration"]
    dense = [row for row in rows if row["network"] == "dense"]
    assert product
    assert dense
    for row in product:
        assert row["stuck"]
        assert row["value"] == pytest.approx(stuck, abs=1e-3)
        assert row["nash_gap"] == pytest.approx(nash, rel=0.01)
    for row in dense:
        assert row["certified"]
        assert row["value"] == pytest.approx(best, abs=1e-4)
        assert row["optimality_gap"] == pytest.approx(gap, rel=0.01)
        assert row["optimality_gap"] <= row["lambda_M"]


def test_least_gaps_fall_and_stay_below_what_is_promised(folder):
    rows = rows_of(folder, "convergence")
    for row, following in pairwise(rows):
        assert row["least_nash_gap"] <= row["nash_gap"]
        assert row["least_nash_gap"] <= row["theorem_1_sharp"]
        if following["T"] > row["T"]:
            assert following["least_optimality_gap"] <= row["least_optimality_gap"]


def test_the_command_prints_the_claims_and_the_same_seed_writes_the_same_bytes(folder, capsys, tmp_path):
    status, out, err = run(capsys, PAPER, "--quick", "--out", str(tmp_path / "again"))
    assert (status, err) == (0, "")
    assert "product policies get stuck at poor Nash equilibria   yes" in out
    assert out.rstrip().splitlines()[-1].startswith("complete: 96 of 96 runs certified; 7 parts saved in ")
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def short(*names):
    """The parts of that names alone, as of a paper."""

    def parts(work):
        for name in names:
            yield getattr(bayesian_network, name)(work)

    return parts


def test_json_and_another_seed(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(bayesian_network, "parts", short("gradients"))
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, PAPER, "--quick", "--json", "--seed", "3")
    told = json.loads(out)
    assert (status, err) == (0, "")
    assert (told["paper"], told["seed"], told["quick"], told["status"], told["parts"]) == (
        PAPER,
        3,
        True,
        "complete",
        ["gradients"],
    )
    first = (tmp_path / "reproduced" / PAPER / "gradients.csv").read_bytes()
    run(capsys, PAPER, "--quick", "--seed", "4")
    assert (tmp_path / "reproduced" / PAPER / "gradients.csv").read_bytes() != first


def test_an_interrupted_reproduction_keeps_its_parts(capsys, monkeypatch, tmp_path):
    def interrupt(work):
        raise KeyboardInterrupt

    monkeypatch.setattr(bayesian_network, "stationary", interrupt)
    monkeypatch.setattr(bayesian_network, "parts", short("gradients", "stationary"))
    status, out, _ = run(capsys, PAPER, "--quick", "--out", str(tmp_path))
    assert status == 1
    assert out.rstrip().splitlines()[-1].startswith("interrupted: 0 of 0 runs certified; 1 parts saved")
    assert {path.name for path in tmp_path.iterdir()} == {"gradients.csv", "gradients.json"}


def test_a_run_that_is_not_certified_shows_in_the_status(capsys, monkeypatch, tmp_path):
    from dataclasses import replace

    made = bayesian_network.gradients
    monkeypatch.setattr(bayesian_network, "gradients", lambda work: replace(made(work), runs=2, certified=1))
    monkeypatch.setattr(bayesian_network, "parts", short("gradients"))
    status, out, _ = run(capsys, PAPER, "--out", str(tmp_path))
    assert status == 1
    assert "complete: 1 of 2 runs certified" in out


def test_progress_goes_to_stderr(capsys, monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(bayesian_network, "parts", short("stationary"))
    list(reproduce(PAPER, tmp_path, quick=True, show=shown.append))
    assert shown[0] == "stationary points: penalty, k = -10, lambda 1"
    status, out, _ = run(capsys, PAPER, "--out", str(tmp_path), "--progress", "--json")
    assert status == 0
    assert json.loads(out)["certified"] == 12


def test_what_is_refused(capsys, tmp_path):
    status, out, err = run(capsys, "bayesian-netwrk", "--out", str(tmp_path / "none"))
    assert (status, out) == (2, "")
    assert "unknown paper 'bayesian-netwrk'" in err
    assert "Did you mean 'bayesian-network'?" in err
    assert not (tmp_path / "none").exists()
    status, _, err = run(capsys, "unheard of")
    assert status == 2
    assert f"Known: {', '.join(PAPERS)}." in err
    (tmp_path / "file").write_text("")
    status, _, err = run(capsys, PAPER, "--out", str(tmp_path / "file"))
    assert status == 2
    assert "is a file, not a folder" in err
