"""Files under faults: whatever call fails or is the last one of a killed process, a whole run stands in the folder."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from eqsolve.backends import Limits
from eqsolve.driver import Checkpoints, InvalidRun, Result, solve
from eqsolve.driver.archive import check_run
from eqsolve.driver.checkpoint import LATEST
from eqsolve.errors import FileTrouble, InvalidData
from eqsolve.files import alone
from tests.driver.toy import Target, Walk

GOAL = Target(np.array([0.3, -0.7]))
CALLS = ((os, "replace"), (os, "unlink"), (os, "fsync"), (os, "chmod"), (Path, "write_bytes"))


class Killed(BaseException):
    """The end of the process: no call after it does anything."""


def faulty(patch, at: int, error: BaseException, *, last: bool) -> list[str]:
    """Let the call number ``at`` fail, and all after it where it is the last; what is called is listed."""
    called: list[str] = []

    def wrapped(name, original):
        def call(*arguments, **options):
            called.append(name)
            if len(called) == at or (last and len(called) > at):
                if name == "write_bytes":
                    original(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise error
            return original(*arguments, **options)

        return call

    for owner, name in CALLS:
        patch.setattr(owner, name, wrapped(name, getattr(owner, name)))
    return called


@pytest.fixture(scope="module")
def runs():
    return tuple(solve(GOAL, Walk(), seed=seed) for seed in (1, 2))


class WithTable(Result):
    """A result with one file more."""

    __slots__ = ()

    def tables(self):
        return {"old.csv": [("a",), (1,)]}


@pytest.mark.parametrize("error", [Killed(), OSError(errno.ENOSPC, "No space left on device")], ids=["killed", "full"])
@pytest.mark.parametrize("at", range(1, 40))
def test_a_save_that_fails_anywhere_leaves_the_old_run_or_the_new(at, error, runs, tmp_path):
    old, new = runs
    parts = {name: getattr(old, name) for name in old.__dataclass_fields__}
    WithTable(**parts).save(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        called = faulty(patch, at, error, last=isinstance(error, Killed))
        try:
            new.save(tmp_path)
            # Only a leftover that cannot be removed does not matter.
            assert len(called) < at or called[at - 1] == "unlink"
        except (Killed, FileTrouble):
            assert len(called) >= at
    found = Result.load(tmp_path)
    assert found.seed in (1, 2)
    wanted = runs[found.seed - 1]
    assert found.policy.x.tobytes() == wanted.policy.x.tobytes()
    assert found.history.equals(wanted.history)
    assert found.gap == wanted.gap
    if not isinstance(error, Killed) and found.seed == 1:
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    new.save(tmp_path)
    assert Result.load(tmp_path).seed == 2
    assert {path.name for path in tmp_path.iterdir()} == {*check_run(tmp_path)["files"], "manifest.json"}


def test_the_faults_reach_every_call_of_a_save(runs, tmp_path):
    runs[0].save(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        called = faulty(patch, 0, Killed(), last=False)
        runs[1].save(tmp_path)
    assert {name for _, name in CALLS} <= {*called}
    assert len(called) < 39


@pytest.mark.parametrize("first", range(1, 26))
def test_a_save_after_a_killed_one_may_be_killed_too(first, runs, tmp_path):
    """Also when files of the run that is in the folder still wait for their names."""
    runs[0].save(tmp_path)
    for second in range(1, 9):
        for at, result in ((first, runs[1]), (second, runs[0])):
            with pytest.MonkeyPatch.context() as patch:
                faulty(patch, at, Killed(), last=True)
                with suppress(Killed):
                    result.save(tmp_path)
        found = Result.load(tmp_path)
        assert found.policy.x.tobytes() == runs[found.seed - 1].policy.x.tobytes()


def test_bytes_are_on_the_disk_before_the_manifest_has_its_name(runs, tmp_path, monkeypatch):
    runs[0].save(tmp_path)
    synced, replaced = set(), {}
    fsync, replace = os.fsync, os.replace

    def told(source, target):
        replaced[Path(target).name] = Path(source).stat().st_ino in synced
        if Path(target).name == "manifest.json":
            waiting = {path.stat().st_ino for path in tmp_path.iterdir() if path.name.startswith(".")}
            assert waiting <= synced
        replace(source, target)

    monkeypatch.setattr(os, "fsync", lambda handle: (synced.add(os.fstat(handle).st_ino), fsync(handle)))
    monkeypatch.setattr(os, "replace", told)
    runs[1].save(tmp_path)
    assert replaced == dict.fromkeys((*check_run(tmp_path)["files"], "manifest.json"), True)


def test_a_run_of_a_later_format_is_refused(runs, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("eqsolve.driver.archive.FORMAT", 2)
        runs[0].save(tmp_path)
    with pytest.raises(InvalidRun, match="has the format 2, and this version reads 1"):
        Result.load(tmp_path)


@pytest.mark.parametrize("error", [Killed(), OSError(errno.ENOSPC, "No space left on device")], ids=["killed", "full"])
@pytest.mark.parametrize("at", range(1, 12))
def test_a_checkpoint_that_fails_anywhere_leaves_one_to_resume_from(at, error, tmp_path):
    every = Checkpoints(tmp_path, seconds=0.0)
    solve(GOAL, Walk(1e-4), checkpoint=every, limits=Limits(iterations=4))
    with pytest.MonkeyPatch.context() as patch:
        called = faulty(patch, at, error, last=isinstance(error, Killed))
        with suppress(Killed, FileTrouble):
            solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, seconds=0.0, resume=True))
            assert called[at - 1] == "unlink"
    assert len(called) >= at
    again, whole = solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, resume=True)), solve(GOAL, Walk(1e-4))
    assert "resumed from" in again.provenance.notes[-1]
    assert again.history.equals(whole.history)
    assert again.policy.x.tobytes() == whole.policy.x.tobytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_is_for_one_run_at_a_time(runs, tmp_path):
    runs[0].save(tmp_path)
    with alone(tmp_path):
        with pytest.raises(FileTrouble, match="another run is at work in"):
            solve(GOAL, Walk(), checkpoint=tmp_path)
        with pytest.raises(FileTrouble, match="another run is at work in"):
            runs[1].save(tmp_path)
        assert Result.load(tmp_path).seed == 1
    solve(GOAL, Walk(), checkpoint=tmp_path)
    runs[1].save(tmp_path)


def test_a_folder_is_free_again_after_an_error(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Walk, "step", lambda self, game, state, run: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            solve(GOAL, Walk(), checkpoint=tmp_path)
    assert solve(GOAL, Walk(), checkpoint=tmp_path).is_converged


def test_a_folder_that_vanishes_meanwhile_is_made_again(tmp_path):
    folder = tmp_path / "run"

    def vanish(iteration, record):
        if iteration == 5:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()

    result = solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(folder, seconds=0.0), progress=vanish)
    assert result.is_converged
    assert (folder / LATEST).exists()


def test_a_manifest_that_names_other_folders_is_refused(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("eqsolve.driver.archive._hashes", lambda contents: {"../policy.npz": "0" * 64})
    runs[0].save(tmp_path)
    with pytest.raises(InvalidRun, match="names files that are not in its folder"):
        Result.load(tmp_path)


def test_a_manifest_of_files_that_hold_no_run_is_refused(runs, tmp_path):
    from eqsolve.driver import archive

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "_contents", lambda result: {"game.npz": archive.to_bytes(GOAL)})
        runs[0].save(tmp_path)
    with pytest.raises(InvalidRun, match="hold no run"):
        Result.load(tmp_path)


@pytest.mark.parametrize("folder", [3, None, b"run"])
def test_a_folder_of_checkpoints_is_a_path(folder):
    with pytest.raises(InvalidData, match="not a path"):
        Checkpoints(folder)
