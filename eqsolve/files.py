"""Files that are whole or not there: written beside, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from eqsolve.errors import FileTrouble

MANIFEST = "manifest.json"
"""Name of the file that makes a folder a finished run."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes ``path`` when the block ends well, and vanishes otherwise.

    Raises
    ------
    FileTrouble : the folder does not exist or cannot be written, or the disk is full.
    """
    try:
        handle, name = mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
    except OSError as cause:
        raise FileTrouble(f"cannot write {path}: {cause.strerror}", "Choose a folder that exists and may be written.") from cause
    beside = Path(name)
    try:
        with telling(path):
            yield beside
            beside.chmod(0o666 & ~_umask())
            to_disk(beside)
            beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Wait until the bytes of a file are on the disk, so that a power cut finds them under the name it gets next."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """The folder for one writer at a time; a lock that ends with its process, on file systems that have locks.

    Raises
    ------
    FileTrouble : another run is at work in the folder.
    """
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # a system without such locks: every file is still whole
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as cause:
        raise FileTrouble(f"cannot open the folder {folder}: {cause.strerror}", "Choose a folder that may be read.") from cause
    try:
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError as cause:
            raise FileTrouble(f"another run is at work in {folder}", "Wait for its end, or choose another folder.") from cause
        except OSError:
            pass  # a file system without them
        yield
    finally:
        os.close(handle)


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Operating system errors inside the block become the FileTrouble that names the file."""
    try:
        yield
    except FileTrouble:
        raise
    except OSError as cause:
        raise FileTrouble(f"cannot write {path}: {cause.strerror or cause}", "Check the free space and the permissions.") from cause


def clear_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed writers of files of these names left beside them; the folder must have no other writer now."""
    for name in names:
        path = Path(name)
        for left in folder.glob(f".{path.stem}-{'[a-z0-9_]' * 8}{path.suffix}"):
            with telling(left):
                left.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """The folder, made with those above it when it is not there.

    Raises
    ------
    FileTrouble : it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise FileTrouble(f"cannot make the folder {path}: {cause.strerror}", "Choose a folder that may be written.") from cause
    return path


def json_text(value: Any) -> str:
    """Plain values as indented JSON; JSON has no infinity, so that one is written as text, such as ``"inf"``."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def read_bytes(path: Path, what: str = "file") -> bytes:
    """The bytes of a file.

    Raises
    ------
    FileTrouble : it is not there, is a folder, or may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as cause:
        raise FileTrouble(f"cannot read {what} {path}: {cause.strerror}", "Check the path and the permissions.") from cause


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value
