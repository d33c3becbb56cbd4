"""The figures of the Bayesian-network paper: drawn without a window, and what is drawn is what the rows say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from eqsolve.plotting.bayesian_network import bounds_figure, convergence_figure, structure_figure, stuck_figure

RUNS = [
    {"game": game, "lambda": lam, "lambda_M": lam, "network": network, "method": method, "optimality_gap": gap}
    for game in ("one", "two")
    for lam in (1.0, 0.1)
    for network, method, gap in (("product", "LBFGS", 8.0), ("dense", "BarrierPolicyIteration", 0.7 * lam))
]
PATHS = [
    {"game": "one", "network": network, "lambda": 0.1, "M": 2.0, "span": 5.0, "T": T}
    | {"least_nash_gap": 1.0 / T, "least_optimality_gap": 2.0 / T}
    for network in ("product", "dense")
    for T in (1, 10, 100)
]
PROMISES = [
    {"game": "one", "theorem": theorem, "variant": variant, "T": T, "gap": 100.0 / T**0.5}
    for theorem, variant in (("theorem 1", "paper"), ("theorem 1", "sharp"), ("theorem 2", "telescoped"))
    for T in (1.0, 1e4, 1e8)
]
SEARCH = [
    {"game": "one", "agents": 4, "edges": 0, "edge": "", "value": 1.0, "objective": 0.5, "gain": 0.0},
    {"game": "one", "agents": 4, "edges": 1, "edge": "0 -> 2", "value": 3.0, "objective": 2.0, "gain": 1.5},
]


def labels_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_runs_by_lambda(tmp_path):
    figure = stuck_figure(RUNS)
    figure.savefig(tmp_path / "a.png")
    assert labels_of(figure) == ["lambda M", "product, L-BFGS", "dense, barrier steps"]
    product = next(line for line in figure.axes[0].lines if line.get_label().startswith("product"))
    np.testing.assert_array_equal(product.get_ydata(), [8.0, 8.0])


def test_gaps_against_iterations(tmp_path):
    figure = convergence_figure(PATHS)
    figure.savefig(tmp_path / "a.png")
    assert labels_of(figure) == ["product", "dense"]
    nash, best = figure.axes
    assert nash.get_xscale() == nash.get_yscale() == "log"
    np.testing.assert_array_equal(nash.lines[0].get_ydata(), [1.0, 0.1, 0.01])
    np.testing.assert_array_equal(best.lines[0].get_ydata(), [2.0, 0.2, 0.02])
    assert nash.lines[2].get_ydata()[0] == pytest.approx(0.4)
    assert best.lines[2].get_ydata()[0] == pytest.approx(0.2)


def test_bounds_beside_the_gaps(tmp_path):
    figure = bounds_figure(PATHS, PROMISES)
    figure.savefig(tmp_path / "a.png")
    names = [
        "product",
        "dense",
        "bound for dense, as printed",
        "bound for dense, sharp or telescoped",
        "more than any policy loses",
    ]
    assert labels_of(figure) == names
    np.testing.assert_allclose(figure.axes[0].lines[2].get_ydata(), [100.0, 1.0, 0.01])


def test_a_network_with_the_worth_of_its_edges(tmp_path):
    figure = structure_figure(SEARCH)
    figure.savefig(tmp_path / "a.png")
    graph, curve = figure.axes
    assert {text.get_text() for text in graph.texts} == {"0", "1", "2", "3", "+1.5"}
    np.testing.assert_array_equal(curve.lines[0].get_ydata(), [1.0, 3.0])
    structure_figure(SEARCH[:1]).savefig(tmp_path / "b.png")  # a search that adds no edge


def test_nothing_of_it_loads_pyplot():
    code = "from tests.plotting.test_bayesian_network import SEARCH, structure_figure as draw; draw(SEARCH)\n"
    code += "import sys; assert 'matplotlib.figure' in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
