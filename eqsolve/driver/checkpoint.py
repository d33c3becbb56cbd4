"""Checkpoints: the state and history of a run at a step's end, in files that are whole or not there."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from eqsolve.arrays import real_number
from eqsolve.driver.history import History
from eqsolve.driver.pack import Arrays, fingerprint, from_bytes, pack, to_bytes, unpack
from eqsolve.errors import FileTrouble, InvalidData
from eqsolve.files import MANIFEST, alone, clear_leftovers, make_folder, read_bytes, replacing

LATEST, PREVIOUS = "checkpoint.npz", "checkpoint-previous.npz"
MARK = b"eqsolve checkpoint 1 "
"""Each file begins with this and the SHA-256 of the rest: a line of JSON that says whose it is, and an npz file."""

SHARE = 0.05
"""Of the time of a run, what remembering states between two checkpoints may take."""


class InvalidCheckpoint(InvalidData):
    """A checkpoint that does not belong to the run that is to be resumed, or of which nothing whole is left."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Where a run leaves its checkpoints, how often, and whether it starts from those that are there.

    Parameters
    ----------
    folder : made when it does not exist; ``checkpoint.npz`` and the one before it are kept.
    seconds : at least so long between two of them; 0 takes one after every period of the algorithm. A run that is cut short
        takes a last one of where it can be resumed.
    resume : start from the latest whole one, where there is one.
    """

    folder: str | Path
    seconds: float = 10.0
    resume: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str | Path):
            raise InvalidData(f"the folder of checkpoints is {self.folder!r}, not a path")
        object.__setattr__(self, "seconds", real_number("seconds between checkpoints", self.seconds, least=0.0))


class Saver:
    """Writes checkpoints now and then, and reads the latest one back; while entered, the folder is this run's alone."""

    def __init__(self, asked: Checkpoints | None, identity: dict[str, Any]) -> None:
        self._asked, self._identity = asked, identity
        self._saved = perf_counter()
        self._at = -1
        self._held = ""
        """Which file holds this run's latest whole state, when one does."""
        self._noted: tuple[Any, Arrays, int] | None = None
        """A state that no file holds yet, taken apart, and the number of its records."""
        self._noted_until, self._noting = -1.0, 0.0
        self._open = ExitStack()
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        if self._asked is not None:
            self._open.enter_context(alone(make_folder(Path(self._asked.folder))))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    def load(self) -> tuple[Any, History] | None:
        """The state and history to resume from; None to start afresh, and ``notes`` say so.

        Raises
        ------
        InvalidCheckpoint : it is of another game, algorithm, backend, seed or version; or nothing whole is left.
        """
        if self._asked is None:
            return None
        clear_leftovers(Path(self._asked.folder), (LATEST,))
        paths = [Path(self._asked.folder) / name for name in (LATEST, PREVIOUS)]
        there = [path for path in paths if path.exists()]
        if not self._asked.resume:
            if there and not (Path(self._asked.folder) / MANIFEST).exists():
                self.notes.append(f"the run starts afresh and replaces {there[0]}, from which it could have been resumed")
            return None
        if not there:
            self.notes.append(f"there is no checkpoint in {self._asked.folder}: the run starts afresh")
            return None
        for path in there:
            found = _read(path)
            if found is None:
                self.notes.append(f"{path} is damaged: it was left aside")
                continue
            identity, body = found
            self._check(path, json.loads(identity))
            state, history = from_bytes(body, str(path))
            self._at, self._held = len(history), path.name
            self.notes.append(f"resumed from {path}, iteration {self._at:,}")
            return state, history
        raise InvalidCheckpoint(
            f"no checkpoint in {self._asked.folder} is whole ({', '.join(path.name for path in there)})",
            "Start again without resuming; the damaged files are replaced.",
        )

    def offer(self, state: Any, history: History, *, last: bool = False) -> None:
        """Take a checkpoint when it is time for one, or when it is the last chance.

        Raises
        ------
        FileTrouble : the folder cannot be made or written, or the disk is full; the checkpoint before it stays.
        """
        if self._asked is None or len(history) == self._at:
            return
        if not last and perf_counter() - self._saved < self._asked.seconds:
            self._note(state, len(history))
            return
        self._write(self._asked, state, history)

    def settle(self, history: History) -> None:
        """Write what is remembered since the last checkpoint: the run has been cut short where none can be taken.

        Raises
        ------
        FileTrouble : as of ``offer``.
        """
        if self._asked is not None and self._noted is not None:
            tree, arrays, count = self._noted
            self._write(self._asked, unpack(tree, arrays), history.first(count))

    def _note(self, state: Any, count: int) -> None:
        """Remember a state, unless that would slow the run down."""
        began = perf_counter()
        if self._noting <= SHARE * (began - self._noted_until):
            tree, arrays = pack(state)
            self._noted = tree, {name: array.copy() for name, array in arrays.items()}, count
            self._noted_until = perf_counter()
            self._noting = self._noted_until - began

    def _write(self, asked: Checkpoints, state: Any, history: History) -> None:
        folder = make_folder(Path(asked.folder))
        body = json.dumps(self._identity).encode() + b"\n" + to_bytes((state, history))
        latest, previous = folder / LATEST, folder / PREVIOUS
        with replacing(latest) as beside:
            beside.write_bytes(MARK + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            if self._held == LATEST and latest.exists():
                latest.replace(previous)
            elif not self._held:
                # Whatever is there is of another run, and no earlier state of this one.
                previous.unlink(missing_ok=True)
        self._saved, self._at, self._held, self._noted = perf_counter(), len(history), LATEST, None

    def _check(self, path: Path, found: dict[str, Any]) -> None:
        for key, mine in self._identity.items():
            if found.get(key) != mine:
                raise InvalidCheckpoint(
                    f"{path} is of another {key}: {found.get(key)}, and this run has {mine}",
                    "Resume with what the run was started with, or start a new run in another folder.",
                )


def identity_of(game: Any, algorithm: Any, backend: str, seed: int, version: str) -> dict[str, Any]:
    """What makes two runs the same run: data by their hash, and what is to be solved with which algorithm."""
    return {
        "game": fingerprint(game)[:16],
        "algorithm": fingerprint(algorithm)[:16],
        "backend": backend,
        "seed": seed,
        "version": version,
    }


def _read(path: Path) -> tuple[bytes, bytes] | None:
    """Whose a checkpoint is and what it holds, or None when it is damaged."""
    try:
        data = read_bytes(path, "checkpoint")
    except FileTrouble:
        return None
    head, _, body = data.partition(b"\n")
    if head != MARK + hashlib.sha256(body).hexdigest().encode():
        return None
    identity, _, content = body.partition(b"\n")
    return identity, content
