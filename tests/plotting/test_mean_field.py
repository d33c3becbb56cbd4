"""The figures of the mean-field paper: drawn without a window, and what is drawn is what the rows and rollouts say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from eqsolve.mean_field.generators import warehouse
from eqsolve.mean_field.online.execution import simulate
from eqsolve.mean_field.policy import uniform_policy
from eqsolve.plotting.mean_field import ASIDE, returns_figure, seconds_figure, surrogate_figure, zones_figure

RETURNS = [
    {"rewards": form, "method": method, "k": k, "return": 10.0 * k + shift, "half_width": 0.5, "seconds": 0.1 * k}
    | {"gap": None if method == "own" else 5.0 / k, "gap_half_width": 0.25}
    for form in ("paper", "constant")
    for method, shift in (("exact", 1.0), ("sampled", 0.0), ("own", -1.0))
    for k in (5, 1, 2)
]
SURROGATES = [{"k": k, "surrogate": 100.0 / k, "return": 20.0 + k, "half_width": 1.0} for k in (1, 2, 5)]


def labels_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def drawn(axis):
    """Of every line with intervals: label, x, y, and half widths."""
    for line in axis.containers:
        points, _, (bars,) = line.lines
        half = [0.5 * (up - down) for (_, down), (_, up) in bars.get_segments()]
        yield line.get_label(), *np.asarray(points.get_data(), dtype=np.float64), half


def test_returns_and_gaps_against_k(tmp_path):
    figure = returns_figure(RETURNS)
    figure.savefig(tmp_path / "a.png")
    assert labels_of(figure) == ["exact", "sampled", "own"]
    axes = np.array(figure.axes).reshape(2, 2)
    assert [axis.get_title() for axis in axes[0]] == ["paper rewards", "constant rewards"]
    for above, below in axes.T:
        lines = {label: rest for label, *rest in drawn(above)}
        for place, (method, shift) in enumerate({"exact": 1.0, "sampled": 0.0, "own": -1.0}.items()):
            x, y, half = lines[method]
            np.testing.assert_allclose(x, ASIDE ** (place - 1) * np.array([1.0, 2, 5]))
            np.testing.assert_array_equal(y, [10.0 + shift, 20 + shift, 50 + shift])
            np.testing.assert_allclose(half, 0.5)
        gaps = {label: rest for label, *rest in drawn(below)}
        assert list(gaps) == ["exact", "sampled"]  # no distance is known of the third
        for _, y, half in gaps.values():
            np.testing.assert_array_equal(y, [5.0, 2.5, 1.0])
            np.testing.assert_allclose(half, 0.25)
        assert below.get_ylim()[0] == 0
        assert [text.get_text() for text in below.get_xticklabels()] == ["1", "2", "5"]
        assert below.get_xscale() == "log"
        assert not above.get_xlabel()


def test_seconds_against_k(tmp_path):
    rows = [row | {"seconds": 0.0 if row["method"] == "own" else row["seconds"]} for row in RETURNS]
    figure = seconds_figure(rows)
    figure.savefig(tmp_path / "a.png")
    names = [f"{method}, {form} rewards" for form in ("paper", "constant") for method in ("exact", "sampled")]
    assert labels_of(figure) == names
    (axis,) = figure.axes
    assert axis.get_xscale() == axis.get_yscale() == "log"
    for line in axis.lines:
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 5])
        np.testing.assert_allclose(line.get_ydata(), [0.1, 0.2, 0.5])


def test_the_surrogate_beside_the_returns(tmp_path):
    figure = surrogate_figure(SURROGATES)
    figure.savefig(tmp_path / "a.png")
    (axis,) = figure.axes
    np.testing.assert_array_equal(axis.lines[0].get_ydata(), [100.0, 50, 20])
    ((label, x, y, half),) = drawn(axis)
    assert label == "return among all"
    np.testing.assert_array_equal(x, [1, 2, 5])
    np.testing.assert_array_equal(y, [21, 22, 25])
    np.testing.assert_allclose(half, 1.0)
    assert labels_of(figure) == ["value of the k-surrogate", "return among all"]


@pytest.fixture(scope="module")
def runs():
    game = warehouse(200)
    return {k: simulate(game, uniform_policy(game, k), 2, 30, np.random.default_rng(k), record=2, compiled=False) for k in (1, 3)}


def test_where_agents_are_over_time(runs, tmp_path):
    figure = zones_figure(runs, chosen="zone given priority")
    figure.savefig(tmp_path / "a.png")
    assert labels_of(figure) == ["zone given priority", "state of most local agents"]
    most = max(run.counts[0].max() for run in runs.values()) / 200
    for axis, (k, run) in zip(figure.axes, runs.items(), strict=False):
        (image,) = axis.images
        np.testing.assert_allclose(image.get_array(), run.counts[0].T / 200)
        assert image.get_clim() == (0.0, pytest.approx(most))
        chosen, modes = axis.lines
        np.testing.assert_array_equal(chosen.get_ydata(), run.choices[0])
        np.testing.assert_array_equal(modes.get_ydata(), run.counts[0].argmax(axis=1))
        hits = 100 * np.mean(run.choices[0] == run.counts[0].argmax(axis=1))
        assert axis.get_title() == f"k = {k}: the choice is the mode in {hits:.0f} % of the steps"
    assert figure.axes[-1].get_ylabel() == "share of the local agents"


def test_states_by_name_and_a_single_run(runs, tmp_path):
    names = [f"zone {z}" for z in range(5)]
    one = replace(runs[1], counts=runs[1].counts[1:], choices=runs[1].choices[1:])
    figure = zones_figure({1: one}, names)
    figure.savefig(tmp_path / "a.png")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == names
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), runs[1].choices[1])
    assert labels_of(figure)[0] == "choice of the global agent"


def test_importing_is_light_and_drawing_loads_no_pyplot():
    code = "import sys, eqsolve.plotting.mean_field\n"
    code += "assert not {'matplotlib', 'numba', 'highspy', 'eqsolve.mean_field.online.execution'} & set(sys.modules)\n"
    code += "eqsolve.plotting.mean_field.surrogate_figure([{'k': 1, 'surrogate': 2.0, 'return': 1.0, 'half_width': 0.1}])\n"
    code += "assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
