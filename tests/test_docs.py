"""The documents and the examples: their commands and scripts run, and what they show of a script is in it.

Python blocks of the documents run in ``test_package``.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from eqsolve.backends import get_backend
from eqsolve.cli import main

PROJECT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((PROJECT / "examples").glob("*.py"))
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
DOWNLOADED = "mine/mine.yaml"
"""Made of a file of the network collection that does not come along."""
CLUSTER = "tcp://scheduler"
"""In a block that needs a cluster."""


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(path: Path) -> list[list[str]]:
    """The words of every line ``eqsolve ...`` that can run here."""
    lines = [line for block in blocks(path, "sh") for line in block.splitlines() if line.startswith("eqsolve ")]
    # Worker processes take longer to start than these sweeps to run.
    return [shlex.split(line.replace(" --jobs 4", ""), comments=True)[1:] for line in lines if DOWNLOADED not in line]


def name_of(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if commands(path)], ids=name_of)
def test_the_commands_in_the_documents_run(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own = PROJECT / "examples" / "own-data"
    shutil.copytree(own, tmp_path / "examples" / "own-data")
    shutil.copytree(own, tmp_path, dirs_exist_ok=True)
    (tmp_path / "corridors.yaml").rename(tmp_path / "mine.yaml")
    for words in commands(path):
        backend = words[words.index("--backend") + 1] if "--backend" in words else "highs"
        if get_backend(backend).probe().usable:
            status = main(words)
            assert status == 0, f"eqsolve {shlex.join(words)}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("script", EXAMPLES, ids=name_of)
def test_the_examples_run(script, tmp_path):
    imported = set(re.findall(r"^(?:import|from) (\w+)", script.read_text(encoding="utf-8"), flags=re.MULTILINE))
    missing = [name for name in sorted(imported) if find_spec(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    done = subprocess.run([sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_what_the_documents_show_of_the_examples_is_in_them(path):
    sources = [script.read_text(encoding="utf-8") for script in EXAMPLES]
    for block in blocks(path, "py"):
        if CLUSTER not in block:
            assert any(block in text or textwrap.indent(block, "    ") in text for text in sources), f"in no example:\n{block}"
