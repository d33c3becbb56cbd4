"""What the commands print."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from eqsolve.cli.output import Folder, print_json, table
from eqsolve.errors import FileTrouble


def test_json_has_no_infinity(capsys):
    print_json({"a": [1.5, float("inf")], "b": {"c": (float("-inf"), float("nan"))}})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"a": [1.5, "inf"], "b": {"c": ["-inf", "nan"]}}


def test_tables_are_aligned_and_never_wrapped():
    lines = table(("name", "what"), [("a", "x" * 300), ("longer", "y")]).splitlines()
    assert [len(lines), lines[0], lines[2]] == [3, "name    what", "longer  y"]
    assert lines[1] == "a       " + "x" * 300


def test_a_checked_folder_is_not_made_yet(tmp_path):
    assert Folder.checked(None) is None
    assert Folder.checked(tmp_path / "a" / "b") == Folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(FileTrouble, match="file is a file"):
        Folder.checked(tmp_path / "file")


def test_progress_goes_to_a_terminal_on_stderr_only():
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "eqsolve", "solve", "congestion", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(theirs)
        assert process.stdout is not None
        result = json.loads(process.stdout.read())
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert process.returncode == 0
    assert result["status"] == "converged"
    assert "AggregativeNash: starting" in shown
