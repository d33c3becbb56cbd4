"""A run in a folder: npz files, a readable result, and a manifest with the hash of every byte."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.driver.pack import Unwritable, fingerprint, from_bytes, to_bytes
from eqsolve.errors import EqsolveError, FileTrouble, InvalidData
from eqsolve.files import MANIFEST, alone, clear_leftovers, json_text, make_folder, read_bytes, replacing, telling, to_disk

if TYPE_CHECKING:
    from eqsolve.driver.result import Result

FORMAT = 1
_NEXT = ".eqsolve-next"
_SEAL = re.compile(rb'"sha256": "([0-9a-f]{64})"\n\}\n\Z')
"""The last entry of a manifest: the hash of all that stands before it."""


class InvalidRun(InvalidData):
    """A saved run of which a file is missing or has changed."""


def save_result(result: Result[Any, Any, Any], folder: Path) -> Path:
    """Write a result in place of the one that is there, of which not a byte is lost before the new one is whole.

    All files are written beside, and those that the new run does not have are put beside. The renaming of the manifest then makes
    it the run, in one stroke; files get their names after it, and whoever reads in between, or after a kill in between, finds them
    where they are.
    """
    contents = _contents(result)
    manifest = _manifest(result, contents)
    with alone(make_folder(folder)):
        before = _names_held(folder)
        _settle(folder, before)
        try:
            for name, content in contents.items():
                with telling(folder / name):
                    _beside(folder, name).write_bytes(content)
                    to_disk(_beside(folder, name))
            for name in sorted(set(before) - set(contents)):
                with telling(folder / name):
                    if (folder / name).exists():
                        (folder / name).replace(_beside(folder, name))
            with replacing(folder / MANIFEST) as path:
                path.write_bytes(manifest)
        except BaseException:
            with suppress(OSError):
                _settle(folder, _names_held(folder))
            raise
        _settle(folder, _hashes(contents))
    return folder


def _beside(folder: Path, name: str) -> Path:
    """Where a file waits: for its manifest, or for its end."""
    return folder / f".{name}{_NEXT}"


def _settle(folder: Path, held: Mapping[str, str]) -> None:
    """Give the files of the run that is in the folder their names, those that wait for them; other leftovers are removed."""
    for name, wanted in held.items():
        beside = _beside(folder, name)
        with telling(folder / name):
            if beside.exists() and hashlib.sha256(beside.read_bytes()).hexdigest() == wanted:
                beside.replace(folder / name)
    clear_leftovers(folder, (MANIFEST, *held))
    for left in folder.glob(f".*{_NEXT}"):
        with telling(left):
            left.unlink(missing_ok=True)


def _hashes(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _manifest(result: Result[Any, Any, Any], contents: dict[str, bytes]) -> bytes:
    manifest = {
        "eqsolve_run": FORMAT,
        "class": f"{type(result).__module__}:{type(result).__qualname__}",
        "system": result.system.name,
        "run": result.identity(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "files": _hashes(contents),
    }
    body = json_text(manifest).removesuffix("\n}")
    seal = hashlib.sha256(body.encode()).hexdigest()
    return f'{body},\n  "sha256": "{seal}"\n}}\n'.encode()


def _names_held(folder: Path) -> dict[str, str]:
    """The files of the run that is in the folder already, with their hashes; none when there is no manifest that can be read."""
    try:
        held: dict[str, str] = _manifest_of(folder)["files"]
    except (EqsolveError, OSError):
        return {}
    return held


def load_result(folder: Path, game: Any = None) -> Result[Any, Any, Any]:
    """Read a result back, every byte checked."""
    manifest, data = read_run(folder)
    solved = manifest.get("run", {}).get("game")
    if game is not None and fingerprint(game)[: len(str(solved))] != solved:
        raise InvalidRun(f"the run in {folder} is of another game than the one given", "Leave the game out, or give the same.")
    if game is None:
        if "game.npz" not in data:
            raise InvalidRun(
                f"the run in {folder} does not hold its game, whose payoffs are Python functions",
                "Give the game: load(folder, game).",
            )
        game = from_bytes(data["game.npz"], "game.npz")
    try:
        facts = from_bytes(data["run.npz"], "run.npz")
        policy = from_bytes(data["policy.npz"], "policy.npz")
        found: Result[Any, Any, Any] = facts["algorithm"].result_class()(game=game, policy=policy, **facts)
    except (LookupError, TypeError, AttributeError) as cause:
        raise InvalidRun(f"the files of {folder} are in order but hold no run: {type(cause).__name__}: {cause}") from cause
    return found


def check_run(folder: Path) -> dict[str, Any]:
    """The manifest of a run, after its own seal and the hash of every file have been checked; raises as ``read_run``."""
    return read_run(folder)[0]


def read_run(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest of a run and its files, every byte checked.

    Raises
    ------
    FileTrouble : there is no run. InvalidRun : a file is missing or a byte has changed; the message names the file.
    """
    manifest = _manifest_of(folder)
    return manifest, {name: _file_of(folder, name, wanted) for name, wanted in manifest["files"].items()}


def _file_of(folder: Path, name: str, wanted: str) -> bytes:
    """A file of the run, under its name or where it waits for it."""
    path, beside = folder / name, _beside(folder, name)
    # The name comes once more at the end: the file may get it in this very moment.
    for place in (path, beside, path):
        if place.exists():
            content = read_bytes(place, "file of the run")
            if hashlib.sha256(content).hexdigest() == wanted:
                return content
    if not path.exists():
        raise InvalidRun(f"{path} is missing", "The manifest names it. Solve again, or restore the file.")
    raise InvalidRun(f"{path} has changed since it was written", "Its hash does not match the manifest.")


def _manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a run, after its seal has been checked."""
    path = folder / MANIFEST
    if not path.exists():
        raise FileTrouble(f"there is no finished run in {folder}: {MANIFEST} is missing", "Give a folder that --out has filled.")
    raw = read_bytes(path, "manifest")
    seal = _SEAL.search(raw)
    body = b"" if seal is None else raw[: seal.start()].removesuffix(b",\n  ")
    if seal is None or hashlib.sha256(body).hexdigest().encode() != seal.group(1):
        raise InvalidRun(
            f"{path} has changed since it was written", "Its own hash does not match. Solve again, or restore the file."
        )
    manifest: dict[str, Any] = json.loads(raw)
    if manifest.get("eqsolve_run") != FORMAT:
        raise InvalidRun(f"{path} has the format {manifest.get('eqsolve_run')}, and this version reads {FORMAT}")
    if not isinstance(manifest.get("files"), dict) or any(Path(name).name != name for name in manifest["files"]):
        raise InvalidRun(f"{path} names files that are not in its folder, or none", "EqSolve writes no such manifest.")
    return manifest


def _contents(result: Result[Any, Any, Any]) -> dict[str, bytes]:
    facts = {name: getattr(result, name) for name in _FACTS}
    readable = f"{json_text(result.to_json())}\n".encode()
    contents = {"policy.npz": to_bytes(result.policy), "run.npz": to_bytes(facts), "result.json": readable}
    with suppress(Unwritable):
        contents["game.npz"] = to_bytes(result.game)
    for name, rows in result.tables().items():
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        contents[name] = text.getvalue().encode()
    return contents


_FACTS = ("algorithm", "value", "gap", "bounds", "history", "status", "reason", "state", "provenance")
