"""The package: light to import, complete, and true to its documents."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import eqsolve
from eqsolve.aggregative import AffinePayoffs, AggregativeGame, congestion
from eqsolve.backends import all_backends
from eqsolve.cli.backends import capability_table
from eqsolve.errors import InvalidData

PROJECT = Path(__file__).resolve().parents[1]
HEAVY = {
    "highspy",
    "cvxpy",
    "pulp",
    "gurobipy",
    "cplex",
    "xpress",
    "mosek",
    "numba",
    "matplotlib",
    "networkx",
    "numpy",
    "scipy",
    "pydantic",
}


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after some code."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in shown.stdout.split()}


def test_importing_eqsolve_loads_nothing_heavy():
    assert not loaded_by("import eqsolve, eqsolve.errors, eqsolve.cli") & (HEAVY - {"pydantic"})


def test_importing_the_systems_loads_no_solver():
    code = "import eqsolve.aggregative, eqsolve.backends, eqsolve.programs, eqsolve.modelfile.read, eqsolve.modelfile.aggregative"
    assert not loaded_by(code) & {
        "highspy",
        "cvxpy",
        "pulp",
        "gurobipy",
        "cplex",
        "xpress",
        "mosek",
        "numba",
        "matplotlib",
        "typer",
        "rich",
    }


def test_listing_the_models_loads_no_system():
    assert not loaded_by("from eqsolve.cli import main; main(['models'])") & {"numpy", "scipy"}


def test_every_public_name_is_there():
    assert set(eqsolve.__all__) <= set(dir(eqsolve))
    for name in eqsolve.__all__:
        assert getattr(eqsolve, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'slove'"):
        eqsolve.slove  # noqa: B018  (reading the attribute is the test)


def test_solve_picks_the_default_algorithm():
    result = eqsolve.solve(congestion(players=50))
    assert isinstance(result.algorithm, eqsolve.AggregativeNash)
    assert result.is_converged
    coarse = eqsolve.solve(
        congestion(players=50), eqsolve.AggregativeNash("existence", cells=10), backend="highs", limits=eqsolve.Limits(seconds=60)
    )
    assert coarse.solver.startswith("highs")


def test_solve_refuses_what_is_no_game():
    with pytest.raises(InvalidData, match="a list is not a game that EqSolve can solve"):
        eqsolve.solve([1, 2])


def test_python_m_eqsolve_solves_a_model_outside_the_checkout(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "eqsolve", "solve", "market"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.rstrip().endswith("converged")


def test_the_models_go_into_the_wheel():
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert config["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"models": "eqsolve/models"}


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    assert citation["version"] == eqsolve.__version__
    assert {"cff-version", "title", "message", "authors"} <= set(citation)
    assert f"## [{eqsolve.__version__}]" in (PROJECT / "CHANGELOG.md").read_text()


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_first_two_blocks_of_the_readme_are_single_lines():
    first, second = blocks(PROJECT / "README.md", "sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert first.rstrip().endswith("eqsolve solve congestion")
    assert "pytest" in second.rpartition("&&")[2]


@pytest.mark.parametrize("path", [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_python_in_the_documents_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for block in blocks(path, "python"):
        exec(block, scope)


def test_links_between_the_documents_lead_somewhere():
    for path in (PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_table_of_backends_is_what_they_declare():
    text = (PROJECT / "docs" / "backends.md").read_text()
    written = text.partition("<!-- table: begin -->\n")[2].partition("\n<!-- table: end -->")[0]
    ours = [one for one in all_backends() if one.name.partition(":")[0] in ("highs", "native", "scipy", "gurobi", "cvxpy", "pulp")]
    assert written == capability_table(ours), "run docs/make_backends_table.py"


def test_a_game_of_one_action_each_is_solved():
    game = AggregativeGame([1, 1], [[0.5], [0.5]], AffinePayoffs([0.0, 1.0], [[1.0], [1.0]]))
    assert eqsolve.solve(game).gap.upper == 0.0
