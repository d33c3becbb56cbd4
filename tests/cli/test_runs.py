"""``eqsolve certify``, ``eqsolve report`` and ``eqsolve inspect`` on saved runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from math import inf, nan

import pytest

from eqsolve.aggregative import AggregativeNash
from eqsolve.cli import main
from eqsolve.cli.runs import _same
from eqsolve.driver import Result, solve
from eqsolve.modelfile import read_model


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    model = read_model("congestion", {"game.players": 12, "game.roads": 2})
    return solve(model.game, model.algorithm).save(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def saved(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_a_whole_run_is_certified(saved, capsys):
    status, out, err = run(capsys, "certify", saved)
    assert (status, err) == (0, "")
    assert "every hash matches" in out
    assert out.count("as stored") == 3
    assert out.rstrip().endswith("certified")
    assert "not certified" not in out
    status, out, _ = run(capsys, "certify", saved, "--json")
    told = json.loads(out)
    stored = json.loads((saved / "result.json").read_text())
    assert (status, told["certified"], told["reproduced"], told["objection"]) == (0, True, True, "")
    assert told["gap upper"]["recomputed"] == stored["gap"]["upper"]
    assert told["value"] == {"stored": stored["value"], "recomputed": stored["value"]}


def test_every_changed_byte_is_loud(saved, capsys):
    for path in sorted(saved.iterdir()):
        data = path.read_bytes()
        step = 1 if path.name == "manifest.json" else max(1, len(data) // 40)
        for at in range(0, len(data), step):
            path.write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
            status, out, err = run(capsys, "certify", saved)
            assert (status, out) == (2, ""), (path.name, at)
            assert str(path) in err
        path.write_bytes(data)
    assert run(capsys, "certify", saved)[0] == 0


@pytest.mark.parametrize("command", ["certify", "report", "inspect"])
def test_what_is_no_whole_run_is_refused(command, saved, capsys, tmp_path):
    (saved / "policy.npz").rename(tmp_path / "policy.npz")
    status, out, err = run(capsys, command, saved)
    assert (status, out) == (2, "")
    assert "policy.npz is missing" in err
    (saved / "policy.npz").write_bytes((tmp_path / "policy.npz").read_bytes()[:-1])
    assert "policy.npz has changed" in run(capsys, command, saved)[2]
    (tmp_path / "empty").mkdir()
    assert "no finished run" in run(capsys, command, tmp_path / "empty")[2]
    status, _, err = run(capsys, command, tmp_path / "nowhere")
    assert status == 2
    assert "nowhere" in err


def changed(folder, **parts):
    """A run whose files are in order but whose contents are not true."""
    return replace(Result.load(folder), **parts).save(folder)


def test_a_gap_that_does_not_come_out_again_is_not_certified(saved, capsys):
    gap = Result.load(saved).gap
    low = replace(gap, lower=gap.lower / 2, upper=gap.upper / 2)
    changed(saved, gap=low)
    status, out, _ = run(capsys, "certify", saved)
    assert status == 1
    assert f"NOT as stored: {low.upper:.10g}" in out
    assert "not certified: gap lower, gap upper did not come out as stored" in out
    changed(saved, gap=replace(gap, upper=gap.upper * (1 + 1e-12), lower=gap.lower))
    assert run(capsys, "certify", saved)[0] == 0


@pytest.mark.parametrize("kind", [{"concept": "CE"}, {"method": "bracket"}], ids=str)
def test_a_gap_of_another_kind_is_not_certified(kind, saved, capsys):
    changed(saved, gap=replace(Result.load(saved).gap, **kind))
    status, out, _ = run(capsys, "certify", saved, "--json")
    assert status == 1
    assert json.loads(out)["verdict"] == "not certified: kind of gap did not come out as stored"


def test_a_value_that_does_not_come_out_again_is_not_certified(saved, capsys):
    changed(saved, value=Result.load(saved).value + 1e-6)
    status, out, _ = run(capsys, "certify", saved, "--json")
    told = json.loads(out)
    assert (status, told["certified"], told["reproduced"]) == (1, False, False)
    assert told["verdict"] == "not certified: value did not come out as stored"


def test_a_run_that_was_cut_short_is_not_certified(capsys, tmp_path):
    run(capsys, "solve", "congestion", "--iterations", 6, "--out", tmp_path / "run")
    status, out, _ = run(capsys, "certify", tmp_path / "run")
    assert status == 1
    assert "the gap is as stored, but the run ended so: stopped by its budget of iterations" in out


def test_an_objection_is_not_certified(saved, capsys, monkeypatch):
    monkeypatch.setattr(AggregativeNash, "objection", lambda self, result: "a program fails")
    status, out, _ = run(capsys, "certify", saved)
    assert status == 1
    assert out.rstrip().endswith("not certified: a program fails")


def test_report_prints_what_solve_printed(capsys, tmp_path):
    _, solved, _ = run(capsys, "solve", "market", "--out", tmp_path / "run")
    status, out, _ = run(capsys, "report", tmp_path / "run")
    assert status == 0
    assert solved.partition("  saved in")[0] == out
    _, out, _ = run(capsys, "report", tmp_path / "run", "--json")
    assert json.loads(out) == json.loads((tmp_path / "run" / "result.json").read_text()) | {"plot": None}


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_report_draws_the_history(suffix, magic, saved, capsys, tmp_path):
    status, out, _ = run(capsys, "report", saved, "--plot", tmp_path / f"run{suffix}", "--column", "welfare")
    assert status == 0
    assert "drawn in" in out
    assert (tmp_path / f"run{suffix}").read_bytes().startswith(magic)


def test_report_refuses_what_it_cannot_draw(saved, capsys, tmp_path):
    assert "does not end in .png, .pdf or .svg" in run(capsys, "report", saved, "--plot", tmp_path / "run.gif")[2]
    assert "no folder" in run(capsys, "report", saved, "--plot", tmp_path / "gone" / "run.png")[2]
    status, out, err = run(capsys, "report", saved, "--plot", tmp_path / "run.png", "--column", "welfar")
    assert (status, out) == (2, "")
    assert "Did you mean 'welfare'" in err
    assert not (tmp_path / "run.png").exists()


def test_a_folder_with_the_name_of_a_shipped_model(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "market").mkdir()
    assert "cell 3 of 326" in run(capsys, "inspect", "market", "--program", "cell:3")[1]
    assert run(capsys, "solve", "market", "--set", "game.players=20", "--out", "market")[0] == 0
    assert "20 players" in run(capsys, "report", "market")[1]
    assert "cell 3 of 326" not in run(capsys, "inspect", "market", "--program", "cell:3")[1]
    assert "500 players" in run(capsys, "solve", "market")[1]


SYSTEMS = {
    "chicken": {"": "correlated equilibrium"},
    "grid-world": {"": "occupancy", "occupancy": "occupancy", "value": "value"},
    "markov-coordination": {"": 'step 0, "good"', "3:1": 'step 3, "bad"'},
}


@pytest.mark.parametrize("model", SYSTEMS)
def test_every_system_saves_certifies_reports_and_shows_its_programs(model, capsys, tmp_path, monkeypatch):
    status, solved, _ = run(capsys, "solve", model, "--out", tmp_path / "run")
    assert status == 0
    assert run(capsys, "certify", tmp_path / "run")[0] == 0
    assert run(capsys, "report", tmp_path / "run", "--plot", tmp_path / "run.png")[1].startswith(solved.partition("  saved in")[0])
    programs = [run(capsys, "inspect", model, "--program", selector) for selector in SYSTEMS[model]]
    monkeypatch.setattr("eqsolve.cli.solve.solve", lambda *_, **__: pytest.fail("solved again"))
    for (selector, words), (status, out, _) in zip(SYSTEMS[model].items(), programs, strict=True):
        assert status == 0
        assert words in out
        assert run(capsys, "inspect", tmp_path / "run", "--program", selector)[1] == out
    status, out, err = run(capsys, "inspect", tmp_path / "run", "--program", "nothing:7")
    assert (status, out) == (2, "")
    assert "nothing" in err


def test_inspect_shows_the_programs_of_a_run_without_solving(saved, capsys, monkeypatch):
    expected = [str(Result.load(saved).program(*which)) for which in ((), (3,))]
    monkeypatch.setattr("eqsolve.cli.solve.solve", lambda *_, **__: pytest.fail("solved again"))
    for selector, text in zip(("best", "cell:3"), expected, strict=True):
        status, out, _ = run(capsys, "inspect", saved, "--program", selector)
        assert (status, out.rstrip()) == (0, text)
    assert run(capsys, "inspect", saved, "--program", "base", "--row", "aggregator[0]")[0] == 0
    status, _, err = run(capsys, "inspect", saved, "--set", "game.players=3")
    assert status == 2
    assert "is a saved run, in which nothing can be changed" in err
    assert "unknown program 'celll:3'" in run(capsys, "inspect", saved, "--program", "celll:3")[2]


def test_a_crash_is_an_error_and_no_run_that_stopped(saved, capsys, monkeypatch):
    monkeypatch.setattr(Result, "recertified", lambda self: 1 / 0)
    status, out, err = run(capsys, "certify", saved)
    assert (status, out) == (2, "")
    assert "ZeroDivisionError" in err


@pytest.mark.parametrize(("stored", "now", "same"), [(inf, inf, True), (inf, 1.0, False), (1.0, inf, False), (nan, nan, False)])
def test_infinite_numbers_are_compared(stored, now, same):
    assert _same(stored, now) is same
