"""A run that is killed at random moments and resumed is the run that was never killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from eqsolve.driver import Result
from eqsolve.driver.pack import to_bytes

KILLS = 10

MODELS = {
    "aggregative, programs by HiGHS": """
eqsolve: 1
system: aggregative
backend: highs
game: {generator: random_affine, players: 600, actions: 4, dimension: 3, gamma: 3.0, seed: 7}
algorithm: {tolerance: paper, cells: 128}
""",
    "mdp, value iteration": """
eqsolve: 1
system: mdp
game: {generator: grid_world, rows: 220, columns: 220, slip: 0.5, gamma: 0.9999, goals: [[219, 219, 1.0]], step_reward: -0.01}
algorithm: {name: ValueIteration, tolerance: 1.0e-7, memory: 0}
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_kills_leave_no_trace(name, tmp_path):
    model, out = tmp_path / "model.yaml", tmp_path / "killed"
    model.write_text(MODELS[name])
    whole = finished(model, tmp_path / "whole")
    chance = random.Random(0)
    killed = resumed = 0
    for kill in range(KILLS):
        if (out / "manifest.json").exists():
            # It got through between two kills: begin again with what is left of the kills.
            for path in out.iterdir():
                path.unlink()
        before = written(out)
        process = start(model, out)
        if kill % 2:  # how long it takes to a checkpoint depends on the machine
            while process.poll() is None and written(out) == before:
                sleep(0.005)
        sleep(chance.uniform(0.0, 0.3 if kill % 2 else 2.0))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        resumed += (out / "checkpoint.npz").exists()
    assert killed >= KILLS / 2
    assert resumed
    result = finished(model, out)
    assert any("resumed from" in note for note in result.provenance.notes)
    assert to_bytes(result.policy) == to_bytes(whole.policy)
    assert result.history.equals(whole.history)
    assert result.gap == whole.gap
    assert (result.status, result.value, result.bounds) == (whole.status, whole.value, whole.bounds)
    assert (out / "policy.npz").read_bytes() == (tmp_path / "whole" / "policy.npz").read_bytes()
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


def written(out: Path) -> int | None:
    """When the checkpoint was written, in nanoseconds."""
    path = out / "checkpoint.npz"
    return path.stat().st_mtime_ns if path.exists() else None


def command(model: Path, out: Path) -> list[str]:
    quick = ["--resume", "--checkpoint-seconds", "0.05"]
    return [sys.executable, "-m", "eqsolve", "solve", str(model), "--out", str(out), *quick]


def start(model: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(model, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))


def finished(model: Path, out: Path) -> Result:
    subprocess.run(command(model, out), check=True, capture_output=True)
    return Result.load(out)
