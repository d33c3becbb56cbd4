"""The loop: budgets, signals, records, seeds, checkpoints and resumption."""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import eqsolve
from eqsolve.backends import Limits
from eqsolve.driver import (
    Checkpoints,
    History,
    InvalidCheckpoint,
    NothingReached,
    OutOfTime,
    Result,
    Run,
    Status,
    checkpoint,
    solve,
)
from eqsolve.driver.checkpoint import LATEST, PREVIOUS, Saver
from eqsolve.driver.pack import pack
from eqsolve.driver.system import homes
from eqsolve.errors import FileTrouble, InvalidData, UnknownName
from tests.driver import toy
from tests.driver.toy import Target, Walk, WalkState

GOAL = Target(np.array([0.3, -0.7]))


def same(one: Result, other: Result) -> None:
    """Policy, history, certificate and status: bit for bit."""
    assert one.policy.x.tobytes() == other.policy.x.tobytes()
    assert one.history.equals(other.history)
    assert one.gap == other.gap
    assert (one.status, one.reason, one.value) == (other.status, other.reason, other.value)


def test_a_run_is_certified_recorded_and_repeated_to_the_byte():
    first, second, other = (solve(GOAL, Walk(), seed=seed) for seed in (5, 5, 6))
    assert first.is_converged
    assert first.gap.upper == np.abs(GOAL.goal - first.policy.x).max() <= 1e-2
    same(first, second)
    assert not first.history.equals(other.history)
    assert first.iterations == len(first.history) == len(first.history["distance"])
    assert (np.diff(first.history["distance"]) <= 0).all()
    assert (np.diff(first.history.seconds) >= 0).all()
    assert set(first.seconds) == {"build", "solve", "certify"}


def test_a_budget_is_never_called_convergence():
    full = solve(GOAL, Walk())
    for n in range(3, full.iterations):
        cut = solve(GOAL, Walk(), limits=Limits(iterations=n))
        assert cut.status is Status.OUT_OF_ITERATIONS
        assert cut.history["distance"].tolist() == full.history["distance"][:n].tolist()
        assert cut.gap.upper == cut.history["distance"][-1]
    assert solve(GOAL, Walk(), limits=Limits(iterations=full.iterations)).is_converged
    late = solve(GOAL, Walk(1e-9, wait=0.002), limits=Limits(seconds=0.05))
    assert late.status is Status.OUT_OF_TIME
    assert late.status.is_budget
    assert "resume" in late.status.remedy


def test_the_seconds_of_a_run_are_of_its_parts(monkeypatch):
    clock = [0.0]

    def taking(owner, name, seconds):
        original = getattr(owner, name)

        def call(*arguments):
            clock[0] += seconds
            return original(*arguments)

        monkeypatch.setattr(owner, name, call)

    monkeypatch.setattr(Run, "seconds", property(lambda self: clock[0]))
    taking(Walk, "init", 1.0)
    taking(Walk, "step", 10.0)
    taking(Walk, "finish", 100.0)
    taking(Walk, "conclude", 1000.0)
    result = solve(GOAL, Walk(), limits=Limits(seconds=41.0))
    assert (result.status, result.iterations) == (Status.OUT_OF_TIME, 4)
    assert result.history.seconds.tolist() == [11.0, 21.0, 31.0, 41.0]
    assert result.seconds == {"build": 1.0, "solve": 140.0, "certify": 1000.0}


def test_a_signal_while_the_last_checkpoint_is_written_keeps_the_answer(tmp_path, monkeypatch):
    def struck(self, history):
        raise KeyboardInterrupt

    monkeypatch.setattr(Saver, "settle", struck)
    same(solve(GOAL, Walk(), checkpoint=tmp_path), solve(GOAL, Walk()))


def test_nothing_reached_is_an_error_with_a_remedy():
    with pytest.raises(NothingReached, match="no step led anywhere yet\n  Give more"):
        solve(GOAL, Walk(), limits=Limits(iterations=0))


def test_an_objection_refutes():
    result = solve(GOAL, Walk(objects=True))
    assert (result.status, result.reason) == (Status.REFUTED, "it objects")
    assert not result.is_converged


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_after_the_step(number):
    before = signal.getsignal(number)

    def stop(iteration, record):
        if iteration == 4:
            os.kill(os.getpid(), number)

    result = solve(GOAL, Walk(1e-9), progress=stop)
    assert result.status is Status.INTERRUPTED
    assert result.iterations == 5
    assert result.gap.upper == result.history["distance"][-1]
    assert signal.getsignal(number) is before


def test_the_second_signal_drops_the_step(monkeypatch):
    original = Walk.step

    def step(self, game, state, run):
        if run.iteration == 5:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, game, state, run)

    monkeypatch.setattr(Walk, "step", step)
    result = solve(GOAL, Walk(1e-9))
    assert result.status is Status.INTERRUPTED
    assert result.iterations == 5


def test_a_finish_that_was_cut_short_is_no_convergence(monkeypatch):
    original = Walk.finish

    def finish(self, game, state, run):
        run.interrupted = True
        return original(self, game, state, run)

    monkeypatch.setattr(Walk, "finish", finish)
    assert solve(GOAL, Walk()).status is Status.INTERRUPTED


def test_signals_that_are_ignored_or_not_pythons_own_stay_so(monkeypatch):
    def stop(iteration, record):
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        same(solve(GOAL, Walk(), progress=stop), solve(GOAL, Walk()))
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    monkeypatch.setattr("eqsolve.driver.interrupt.signal.getsignal", lambda number: None)
    monkeypatch.setattr("eqsolve.driver.interrupt.signal.signal", lambda *_: pytest.fail("replaced"))
    assert solve(GOAL, Walk()).is_converged


def test_a_run_outside_the_main_thread_leaves_signals_alone():
    found = []
    worker = threading.Thread(target=lambda: found.append(solve(GOAL, Walk())))
    worker.start()
    worker.join()
    same(found[0], solve(GOAL, Walk()))


def test_sessions_are_closed_at_the_end_of_each_period_and_after_an_error(monkeypatch):
    toy.opened.clear()
    result = solve(GOAL, Walk(1e-9), limits=Limits(iterations=10))
    assert toy.opened == ["open", "close"] * 3
    assert result.history["warm"].tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]
    toy.opened.clear()
    monkeypatch.setattr(Walk, "done", lambda self, game, state: 1 / 0 if toy.opened else None)
    with pytest.raises(ZeroDivisionError):
        solve(GOAL, Walk())
    assert toy.opened == ["open", "close"]


@pytest.mark.parametrize("cut", range(3, 14))
def test_a_resumed_run_is_the_uninterrupted_one(cut, tmp_path):
    full = solve(GOAL, Walk(1e-4), seed=2)
    asked = Checkpoints(tmp_path, seconds=0.0)
    solve(GOAL, Walk(1e-4), seed=2, checkpoint=asked, limits=Limits(iterations=cut))
    again = solve(GOAL, Walk(1e-4), seed=2, checkpoint=Checkpoints(tmp_path, seconds=0.0, resume=True))
    same(again, full)
    expected = f"resumed from {tmp_path / LATEST}, iteration {cut // 4 * 4}" if cut >= 4 else "iteration 0"
    assert expected in again.provenance.notes[0]


def test_resuming_a_finished_run_repeats_its_result(tmp_path):
    first = solve(GOAL, Walk(), checkpoint=Checkpoints(tmp_path))
    again = solve(GOAL, Walk(), checkpoint=Checkpoints(tmp_path, resume=True))
    same(again, first)
    assert f"iteration {first.iterations}" in again.provenance.notes[0]


def test_resuming_from_nothing_starts_afresh_and_says_so(tmp_path):
    result = solve(GOAL, Walk(), checkpoint=Checkpoints(tmp_path / "new", resume=True))
    assert "starts afresh" in result.provenance.notes[0]
    same(result, solve(GOAL, Walk()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"game": Target(np.array([0.3, -0.75]))}, "another game"),
        ({"algorithm": Walk(1e-3)}, "another algorithm"),
        ({"seed": 1}, "another seed: 0, and this run has 1"),
        ({"backend": "highs"}, "another backend: auto, and this run has highs"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(change, message, tmp_path):
    solve(GOAL, Walk(), checkpoint=tmp_path)
    call = {"game": GOAL, "algorithm": Walk(), "seed": 0, "backend": "auto"} | change
    kept = (tmp_path / LATEST).read_bytes()
    with pytest.raises(InvalidCheckpoint, match=message):
        solve(**call, checkpoint=Checkpoints(tmp_path, resume=True))
    assert (tmp_path / LATEST).read_bytes() == kept


def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    solve(GOAL, Walk(), checkpoint=tmp_path)
    monkeypatch.setattr("eqsolve.driver.loop.__version__", "9.9.9")
    with pytest.raises(InvalidCheckpoint, match=f"another version: {eqsolve.__version__}, and this run has 9.9.9"):
        solve(GOAL, Walk(), checkpoint=Checkpoints(tmp_path, resume=True))


def test_a_new_run_in_place_of_a_finished_one_needs_no_note(tmp_path):
    solve(GOAL, Walk(), checkpoint=tmp_path).save(tmp_path)
    assert solve(GOAL, Walk(), checkpoint=tmp_path).provenance.notes == ()


def test_a_checkpoint_that_does_not_say_whose_it_is_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("eqsolve.driver.loop.identity_of", lambda *_: {})
        solve(GOAL, Walk(), checkpoint=tmp_path)
    with pytest.raises(InvalidCheckpoint, match="another game: None"):
        solve(GOAL, Walk(), checkpoint=Checkpoints(tmp_path, resume=True))


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "gone"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(damage, tmp_path):
    solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, seconds=0.0), limits=Limits(iterations=9))
    data = (tmp_path / LATEST).read_bytes()
    if damage == "gone":
        (tmp_path / LATEST).unlink()
    else:
        flipped = data[:300] + bytes([data[300] ^ 1]) + data[301:]
        (tmp_path / LATEST).write_bytes({"cut": data[: len(data) // 2], "empty": b"", "flip": flipped}[damage])
    result = solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, resume=True))
    same(result, solve(GOAL, Walk(1e-4)))
    notes = result.provenance.notes
    assert notes[-1] == f"resumed from {tmp_path / PREVIOUS}, iteration 4"
    assert len(notes) == (1 if damage == "gone" else 2)
    assert damage == "gone" or f"{tmp_path / LATEST} is damaged" in notes[0]


def test_nothing_whole_left_is_refused(tmp_path):
    solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, seconds=0.0))
    for name in (LATEST, PREVIOUS):
        (tmp_path / name).write_bytes(b"eqsolve checkpoint 1 ")
    with pytest.raises(InvalidCheckpoint, match=r"no checkpoint in .* is whole"):
        solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, resume=True))


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    asked = Checkpoints(tmp_path, seconds=0.0)
    solve(GOAL, Walk(1e-4), checkpoint=asked, limits=Limits(iterations=8))
    kept = (tmp_path / LATEST).read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(FileTrouble, match=r"cannot write .*checkpoint\.npz: No space left"):
        solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, seconds=0.0, resume=True))
    monkeypatch.undo()
    assert (tmp_path / LATEST).read_bytes() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == [PREVIOUS, LATEST]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileTrouble, match="cannot make the folder"):
        solve(GOAL, Walk(), checkpoint=tmp_path / "file" / "run")


def test_checkpoints_are_as_far_apart_as_asked(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(checkpoint, "perf_counter", lambda: float(len(steps)))
    written = []
    monkeypatch.setattr(checkpoint, "to_bytes", lambda value: written.append(len(value[1])) or b"")
    asked = Checkpoints(tmp_path, seconds=12.0)
    solve(GOAL, Walk(1e-9), checkpoint=asked, limits=Limits(iterations=40), progress=lambda *step: steps.append(step))
    assert written == [12, 24, 36, 40]


@pytest.mark.parametrize("cut", range(4, 13))
def test_a_run_that_is_cut_short_can_be_resumed_however_seldom_checkpoints_are(cut, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    seldom = Checkpoints(tmp_path, seconds=1e9)
    solve(GOAL, Walk(1e-4), checkpoint=seldom, limits=Limits(iterations=cut))
    again = solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.provenance.notes[-1] == f"resumed from {tmp_path / LATEST}, iteration {cut // 4 * 4}"
    same(again, solve(GOAL, Walk(1e-4)))


@pytest.mark.parametrize("error", [OutOfTime, KeyboardInterrupt])
def test_a_step_that_is_dropped_leaves_a_checkpoint(error, tmp_path, monkeypatch):
    original = Walk.step

    def step(self, game, state, run):
        if run.iteration == 9:
            raise error
        return original(self, game, state, run)

    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    with monkeypatch.context() as patch:
        patch.setattr(Walk, "step", step)
        cut = solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, seconds=1e9))
    assert (cut.iterations, cut.status.is_budget) == (9, True)
    again = solve(GOAL, Walk(1e-4), checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.provenance.notes[-1].endswith("iteration 8")
    same(again, solve(GOAL, Walk(1e-4)))


@pytest.mark.parametrize("seed", range(4))
def test_a_remembered_state_does_not_change_with_the_arrays_of_the_run(seed, tmp_path, monkeypatch):
    original = Walk.step

    def in_place(self, game, state, run):
        if run.iteration == stop:
            raise KeyboardInterrupt
        found, record = original(self, game, state, run)
        # Arrays that come from a file are read-only.
        x = state.x if state.x.flags.writeable else state.x.copy()
        x[:] = found.x
        return WalkState(x, found.best), record

    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    monkeypatch.setattr(Walk, "step", in_place)
    stop = 11
    solve(GOAL, Walk(1e-4), seed=seed, checkpoint=Checkpoints(tmp_path, seconds=1e9))
    stop = -1
    again = solve(GOAL, Walk(1e-4), seed=seed, checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.provenance.notes[-1].endswith("iteration 8")
    same(again, solve(GOAL, Walk(1e-4), seed=seed))


def test_remembering_states_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    clock = [0.0]
    counted = []

    def slow(value):
        counted.append(clock[0])
        clock[0] += 1.0
        return pack(value)

    monkeypatch.setattr(checkpoint, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(checkpoint, "pack", slow)

    def tick(iteration, record):
        clock[0] += 0.5

    asked = Checkpoints(tmp_path, seconds=1e9)
    solve(GOAL, Walk(1e-9), checkpoint=asked, limits=Limits(iterations=200), progress=tick)
    assert np.diff(counted).min() >= 20
    assert len(counted) >= 4


@pytest.mark.parametrize("place", ["record", "report", "offer"])
def test_a_second_signal_between_steps_keeps_the_answer(place, tmp_path, monkeypatch):
    def twice(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    original = {"record": History.append, "offer": Saver.offer}.get(place)

    def struck(self, first, second, **options):
        if (len(self) if place == "record" else len(second)) == 8:
            twice()
        return original(self, first, second, **options)

    if place == "record":
        monkeypatch.setattr(History, "append", struck)
    elif place == "offer":
        monkeypatch.setattr(Saver, "offer", struck)
    report = (lambda iteration, record: twice() if iteration == 8 else None) if place == "report" else False
    result = solve(GOAL, Walk(1e-9), progress=report, checkpoint=tmp_path)
    assert result.status is Status.INTERRUPTED
    assert result.iterations == (9 if place == "report" else 8)
    monkeypatch.undo()
    assert Result.load(result.save(tmp_path)).history.equals(result.history)


def test_histories_have_as_many_times_as_records():
    history = History()
    for k in range(3):
        history.append({}, 0.5 * k)
    assert len(History(**history.parts())) == len(history) == 3
    with pytest.raises(InvalidData, match="2 times has 1 records of a"):
        History({"a": [1.0]}, [0.0, 1.0])
    assert history.first(2).seconds.tolist() == [0.0, 0.5]
    assert not history.first(2).equals(history)


def test_records_keep_their_names():
    history = History()
    history.append({"a": 1.0}, 0.0)
    with pytest.raises(InvalidData, match="columns b; those before have a"):
        history.append({"b": 1.0}, 0.0)
    with pytest.raises(UnknownName, match="unknown column of the history 'c'"):
        history["c"]
    assert list(history) == [{"a": 1.0}]


def test_a_frame_has_one_row_per_iteration():
    pandas = pytest.importorskip("pandas")
    result = solve(GOAL, Walk())
    frame = result.history.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["distance"].tolist() == result.history["distance"].tolist()
    assert list(frame.columns) == ["distance", "tried", "warm", "seconds"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"game": 3}, InvalidData, "a int is not a game"),
        ({"algorithm": 3}, InvalidData, "algorithm is 3, which does not solve toy games"),
        ({"backend": None}, InvalidData, "backend is None"),
        ({"backend": "hihgs"}, UnknownName, "highs"),
        ({"seed": -1}, InvalidData, "seed is -1"),
        ({"seed": 0.5}, InvalidData, "seed is 0.5"),
        ({"limits": 3}, InvalidData, "limits is 3"),
        ({"limits": Limits(seconds=float("nan"))}, InvalidData, "limits.seconds is nan"),
        ({"limits": Limits(seconds=-1.0)}, InvalidData, "limits.seconds is -1"),
        ({"limits": Limits(seconds="3")}, InvalidData, "limits.seconds is '3'"),
        ({"limits": Limits(iterations=-1)}, InvalidData, "limits.iterations is -1"),
        ({"limits": Limits(iterations=2.5)}, InvalidData, "limits.iterations is 2.5"),
        ({"limits": Limits(iterations=True)}, InvalidData, "limits.iterations is True"),
        ({"n_jobs": 0}, InvalidData, "n_jobs is 0"),
    ],
)
def test_bad_calls_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        solve(**{"game": GOAL, "algorithm": Walk(), **call})
    with pytest.raises(InvalidData, match="seconds between checkpoints is -1"):
        Checkpoints("x", seconds=-1)


def test_map_is_the_same_for_any_number_of_jobs():
    runs = [eqsolve.driver.Run(n_jobs=n) for n in (1, 2)]
    assert [run.map(abs, range(-3, 3)) for run in runs] == [[3, 2, 1, 0, 1, 2]] * 2
    assert runs[0].rng().random() == runs[1].rng().random() != runs[0].rng(stream=1).random()


@pytest.mark.parametrize(("game", "system"), [("plugin_games.py", "plugin_games"), ("plugin_games/game.py", "plugin_games.wiring")])
def test_a_system_of_another_package_is_found_by_its_entry_point(game, system, tmp_path, monkeypatch):
    """In one module, or with the game and its wiring in two modules of one package."""
    source = (Path(toy.__file__)).read_text().replace("TOY = register(", "TOY = (").replace('"toy"', '"plugin"')
    home = tmp_path / game
    home.parent.mkdir(exist_ok=True)
    home.write_text(source)
    if home.name == "game.py":
        (home.parent / "wiring.py").write_text("from plugin_games.game import TOY\n")
    entry = EntryPoint("plugin", f"{system}:TOY", "eqsolve.systems")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("eqsolve.driver.system.entry_points", lambda group: [entry])
    monkeypatch.setattr("eqsolve.driver.system._LOADED", {})
    homes.cache_clear()
    try:
        module = import_module(system.replace("wiring", "game"))
        result = solve(module.Target(GOAL.goal))
        assert result.is_converged
        assert Result.load(result.save(tmp_path / "run")).recertified() == result.gap
    finally:
        homes.cache_clear()
        for name in [one for one in sys.modules if one.startswith("plugin_games")]:
            del sys.modules[name]
