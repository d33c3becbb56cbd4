"""A run in a folder: npz files, a readable result, and a manifest with the hash of every byte."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import platform
import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.driver.pack import Unwritable, from_bytes, to_bytes
from eqsolve.errors import FileTrouble, InvalidData
from eqsolve.files import MANIFEST, clear_leftovers, json_text, make_folder, read_bytes, replacing, telling

if TYPE_CHECKING:
    from eqsolve.driver.result import Result

FORMAT = 1
_SEAL = re.compile(rb'"sha256": "([0-9a-f]{64})"\n\}\n\Z')
"""The last entry of a manifest: the hash of all that stands before it."""


class InvalidRun(InvalidData):
    """A saved run of which a file is missing or has changed."""


def save_result(result: Result[Any, Any, Any], folder: Path) -> Path:
    """Write a result; each file whole or not at all, and the manifest last.

    All files are complete before the first gets its name, so that a full disk leaves a run that was there before as it was. From
    then to the end there is no manifest: what is killed in between leaves no run, and never the files of two under one manifest.
    """
    make_folder(folder)
    contents = _contents(result)
    manifest = _manifest(result, contents)
    stale = _names_held(folder) - set(contents)
    with ExitStack() as stack:
        # The first entered is the last to get its name.
        written = {MANIFEST: manifest, **contents}
        clear_leftovers(folder, written)
        beside = {name: stack.enter_context(replacing(folder / name)) for name in written}
        for name, content in written.items():
            with telling(folder / name):
                beside[name].write_bytes(content)
        for name in (MANIFEST, *sorted(stale)):
            with telling(folder / name):
                (folder / name).unlink(missing_ok=True)
    return folder


def _manifest(result: Result[Any, Any, Any], contents: dict[str, bytes]) -> bytes:
    manifest = {
        "eqsolve_run": FORMAT,
        "class": f"{type(result).__module__}:{type(result).__qualname__}",
        "system": result.system.name,
        "run": result.identity(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    body = json_text(manifest).removesuffix("\n}")
    seal = hashlib.sha256(body.encode()).hexdigest()
    return f'{body},\n  "sha256": "{seal}"\n}}\n'.encode()


def _names_held(folder: Path) -> set[str]:
    """The files of the run that is in the folder already; none when there is no manifest that can be read."""
    try:
        names = set(json.loads((folder / MANIFEST).read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if isinstance(name, str) and Path(name).name == name}


def load_result(folder: Path, game: Any = None) -> Result[Any, Any, Any]:
    """Read a result back, every byte checked."""
    manifest = check_run(folder)
    data = {name: read_bytes(folder / name, "file of the run") for name in manifest["files"] if name.endswith(".npz")}
    if game is None:
        if "game.npz" not in data:
            raise InvalidRun(
                f"the run in {folder} does not hold its game, whose payoffs are Python functions",
                "Give the game: load(folder, game).",
            )
        game = from_bytes(data["game.npz"], "game.npz")
    facts = from_bytes(data["run.npz"], "run.npz")
    policy = from_bytes(data["policy.npz"], "policy.npz")
    found: Result[Any, Any, Any] = facts["algorithm"].result_class()(game=game, policy=policy, **facts)
    return found


def check_run(folder: Path) -> dict[str, Any]:
    """The manifest of a run, after its own seal and the hash of every file have been checked.

    Raises
    ------
    FileTrouble : there is no run. InvalidRun : a file is missing or a byte has changed; the message names the file.
    """
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
    for name, wanted in manifest["files"].items():
        if not (folder / name).exists():
            raise InvalidRun(f"{folder / name} is missing", "The manifest names it. Solve again, or restore the file.")
        if hashlib.sha256(read_bytes(folder / name, "file of the run")).hexdigest() != wanted:
            raise InvalidRun(f"{folder / name} has changed since it was written", "Its hash does not match the manifest.")
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
