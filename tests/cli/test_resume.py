"""Saved, interrupted and resumed runs from the command line."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import pytest

from eqsolve.aggregative.equilibrium import Equilibrium
from eqsolve.cli import main
from eqsolve.driver import Result
from tests.driver.toy import Walk

QUICK = ("--checkpoint-seconds", "0")


def run(capsys, *arguments) -> tuple[int, str, str]:
    status = main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def same(one: Path, other: Path) -> None:
    """Policy, history, certificate: bit for bit."""
    first, second = Result.load(one), Result.load(other)
    assert (one / "policy.npz").read_bytes() == (other / "policy.npz").read_bytes()
    assert first.history.equals(second.history)
    assert (first.gap, first.status, first.value) == (second.gap, second.status, second.value)


@pytest.fixture
def whole(toy, capsys, tmp_path):
    assert run(capsys, "solve", toy, "--seed", 3, "--out", tmp_path / "whole")[0] == 0
    return tmp_path / "whole"


@pytest.mark.parametrize("cut", [3, 4, 9, 13])
def test_a_resumed_run_is_the_uninterrupted_one_and_says_so(cut, toy, whole, capsys, tmp_path):
    out = tmp_path / "cut"
    status, text, _ = run(capsys, "solve", toy, "--seed", 3, "--out", out, *QUICK, "--iterations", cut)
    assert status == 1
    assert "resume the run from its checkpoint" in text
    status, text, err = run(capsys, "solve", toy, "--seed", 3, "--out", out, "--resume", "--json")
    assert (status, err) == (0, "")
    (note,) = json.loads(text)["notes"]
    assert note == f"resumed from {out / 'checkpoint.npz'}, iteration {cut // 4 * 4}"
    same(out, whole)
    _, text, _ = run(capsys, "report", out)
    assert f"note: {note}" in text


def test_nothing_to_resume_starts_afresh_and_says_so(toy, whole, capsys, tmp_path):
    status, text, _ = run(capsys, "solve", toy, "--seed", 3, "--out", tmp_path / "new", "--resume")
    assert status == 0
    assert f"note: there is no checkpoint in {tmp_path / 'new'}: the run starts afresh" in text
    same(tmp_path / "new", whole)


def test_an_unfinished_run_that_is_not_resumed_is_told(toy, capsys, tmp_path):
    run(capsys, "solve", toy, "--seed", 3, "--out", tmp_path / "cut", *QUICK, "--iterations", 9)
    (tmp_path / "cut" / "manifest.json").unlink()
    status, text, _ = run(capsys, "solve", toy, "--seed", 4, "--out", tmp_path / "cut")
    assert status == 0
    assert "starts afresh and replaces" in text
    assert not (tmp_path / "cut" / "checkpoint-previous.npz").exists()


CHANGES = {
    "model": (["--set", "game.goal=[0.3, -0.6]"], "another game"),
    "algorithm": (["--set", "algorithm.tolerance=0.1"], "another algorithm"),
    "seed": (["--seed", "5"], "another seed: 3, and this run has 5"),
    "backend": (["--backend", "highs"], "another backend: auto, and this run has highs"),
}


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_of_another_run_is_refused(change, words, toy, capsys, tmp_path):
    run(capsys, "solve", toy, "--seed", 3, "--out", tmp_path / "run", *QUICK, "--iterations", 9)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    status, out, err = run(capsys, "solve", toy, "--seed", 3, *change, "--out", tmp_path / "run", "--resume", "--json")
    assert (status, out) == (2, "")
    assert "InvalidCheckpoint" in err
    assert words in err
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_checkpoint_of_another_version_is_refused(toy, capsys, tmp_path, monkeypatch):
    run(capsys, "solve", toy, "--out", tmp_path / "run", *QUICK, "--iterations", 9)
    monkeypatch.setattr("eqsolve.driver.loop.__version__", "9.9")
    status, _, err = run(capsys, "solve", toy, "--out", tmp_path / "run", "--resume")
    assert status == 2
    assert "another version" in err


def test_a_truncated_checkpoint_falls_back_and_says_so(toy, whole, capsys, tmp_path):
    out = tmp_path / "cut"
    run(capsys, "solve", toy, "--seed", 3, "--out", out, *QUICK, "--iterations", 9)
    latest, previous = out / "checkpoint.npz", out / "checkpoint-previous.npz"
    latest.write_bytes(latest.read_bytes()[:200])
    good = previous.read_bytes()
    status, text, _ = run(capsys, "solve", toy, "--seed", 3, "--out", out, "--resume")
    assert status == 0
    assert f"note: {latest} is damaged: it was left aside" in text
    assert f"note: resumed from {previous}, iteration 4" in text
    same(out, whole)
    assert previous.read_bytes() == good
    for path in (latest, previous):
        path.write_bytes(path.read_bytes()[:200])
    status, _, err = run(capsys, "solve", toy, "--seed", 3, "--out", out, "--resume")
    assert status == 2
    assert "InvalidCheckpoint: no checkpoint" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_reports(number, toy, whole, capsys, tmp_path):
    step = Walk.step

    def stopping(self, game, state, run):
        if run.iteration == 9:
            os.kill(os.getpid(), number)
        return step(self, game, state, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Walk, "step", stopping)
        status, text, _ = run(capsys, "solve", toy, "--seed", 3, "--out", tmp_path / "run", "--json", *QUICK)
    result = json.loads(text)
    assert (status, result["status"], result["iterations"]) == (1, "interrupted before it was complete", 10)
    assert result["gap"]["upper"] == Result.load(tmp_path / "run").recertified().upper
    assert run(capsys, "solve", toy, "--seed", 3, "--out", tmp_path / "run", "--resume")[0] == 0
    same(tmp_path / "run", whole)


def test_an_interrupt_before_anything_is_no_answer(toy, capsys, tmp_path, monkeypatch):
    def stopping(self, game, run):
        raise KeyboardInterrupt

    monkeypatch.setattr(Walk, "init", stopping)
    status, text, err = run(capsys, "solve", toy, "--json", "--out", tmp_path / "run")
    assert status == 1
    assert json.loads(text)["gap"] is None
    assert "interrupted before there was an answer" in err


def test_a_run_that_reaches_nothing_tells_its_notes(toy, capsys, tmp_path):
    status, text, err = run(capsys, "solve", toy, "--resume", "--out", tmp_path / "run", "--json", "--seconds", "1e-9")
    assert status == 1
    assert "starts afresh" in json.loads(text)["notes"][0]
    assert "starts afresh" in err
    assert "no step led anywhere" in err


def test_another_run_in_the_folder_leaves_nothing_of_the_first(capsys, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Equilibrium, "tables", lambda self: {"old.csv": [("a",), (1,)]})
        run(capsys, "solve", "market", "--out", tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert (tmp_path / "run" / "old.csv").exists()
    status, _, _ = run(capsys, "solve", "congestion", "--set", "game.players=60", "--out", tmp_path / "run")
    assert status == 0
    names = {path.name for path in (tmp_path / "run").iterdir()}
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert names == {*manifest["files"], "manifest.json", "checkpoint.npz", "notes.txt"}
    assert run(capsys, "certify", tmp_path / "run")[0] == 0
    assert Result.load(tmp_path / "run").game.name == "congestion"


def test_what_a_killed_writer_left_is_cleared(toy, capsys, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    for name in (".checkpoint-abcd_123.npz", ".policy-abcdefgh.npz", ".profile", ".policy-notours.npz.bak"):
        (out / name).write_text("half")
    run(capsys, "solve", toy, "--out", out)
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} == {".profile", ".policy-notours.npz.bak"}


FILES = ("policy.npz", "run.npz", "game.npz", "result.json", "manifest.json")


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_keeps_the_run_that_was_there(name, toy, whole, capsys, monkeypatch):
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    write = Path.write_bytes

    def full(self, data):
        if self.name.startswith(f".{Path(name).stem}"):
            write(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    status, out, err = run(capsys, "solve", toy, "--seed", 4, "--out", whole, "--json", "--checkpoint-seconds", "1e9")
    assert status == 2
    assert json.loads(out)["status"] == "converged"
    assert f"cannot write {whole / name}: No space left on device" in err
    monkeypatch.undo()
    after = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert {one: after[one] for one in FILES} == {one: before[one] for one in FILES}
    assert set(after) == set(before)
    assert run(capsys, "certify", whole)[0] == 0


def test_a_disk_that_is_full_at_a_checkpoint_ends_the_run(toy, capsys, tmp_path, monkeypatch):
    run(capsys, "solve", toy, "--seed", 3, "--out", tmp_path / "run", *QUICK, "--iterations", 8)
    kept = (tmp_path / "run" / "checkpoint.npz").read_bytes()

    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    status, out, err = run(capsys, "solve", toy, "--seed", 3, "--out", tmp_path / "run", "--resume", *QUICK)
    assert (status, out) == (2, "")
    assert "No space left on device" in err
    assert (tmp_path / "run" / "checkpoint.npz").read_bytes() == kept


def test_the_seed_0_goes_before_the_seed_of_the_model(toy, capsys):
    Path(toy).write_text(Path(toy).read_text() + "seed: 7\n")
    for arguments, seed in (([], 7), (["--seed", "0"], 0), (["--seed", "3"], 3)):
        assert json.loads(run(capsys, "solve", toy, "--json", *arguments)[1])["seed"] == seed


REFUSED = {
    "resume without out": (["--resume"], "--resume is given without --out"),
    "negative seconds": (["--out", "run", "--checkpoint-seconds", "-1"], "seconds between checkpoints is -1"),
    "no jobs": (["--jobs", "0"], "n_jobs is 0"),
    "no number of seconds": (["--seconds", "nan"], "--seconds is nan; it must be positive"),
    "into a sweep": (["--out", "swept"], "swept holds a sweep"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(arguments, words, toy, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "swept").mkdir()
    (tmp_path / "swept" / "sweep.json").write_text("{}")
    status, out, err = run(capsys, "solve", toy, *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert not (tmp_path / "run").exists()
