"""The figures of congestion games: drawn without a window, and what is drawn is what the results say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection

from eqsolve.aggregative.congestion_games.atomic import AtomicRouting
from eqsolve.aggregative.congestion_games.costs import AffineCosts
from eqsolve.aggregative.congestion_games.frank_wolfe import FrankWolfe
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.generators import braess, grid_city, parallel_links, pigou, random_listed
from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.driver import solve
from eqsolve.errors import InvalidData, UnknownName
from eqsolve.plotting.congestion import convergence_figure, map_figure, places, regret_figure

CITY = grid_city(3, 4, zones=4, seed=1)


@pytest.fixture(scope="module")
def city():
    return solve(CITY, PathEquilibrium())


def drawn(figure, kind):
    (found,) = (one for one in figure.axes[0].collections if type(one) is kind)
    return found


def test_the_map_of_a_city(city, tmp_path):
    x, network = city.aggregator, CITY.network
    figure = map_figure(CITY, x)
    figure.savefig(tmp_path / "a.png")
    roads = drawn(figure, LineCollection)
    np.testing.assert_array_equal(roads.get_array(), x / CITY.costs.capacity)
    widths = roads.get_linewidths()
    np.testing.assert_array_equal(np.argsort(widths, kind="stable"), np.argsort(x, kind="stable"))
    assert widths[int(x.argmax())] == 5.0
    ends = np.array(roads.get_segments())
    straight = network.position[np.column_stack((network.tail, network.head))]
    along, aside = straight[:, 1] - straight[:, 0], ends - straight
    np.testing.assert_allclose(aside[:, 0], aside[:, 1], atol=1e-12)
    assert (along[:, 0] * aside[:, 0, 1] - along[:, 1] * aside[:, 0, 0] < 0).all()  # to the right
    assert [text.get_text() for text in figure.axes[0].texts] == [str(k) for k in range(12)]
    assert figure.axes[1].get_ylabel() == "flow / capacity"


def test_arrows_point_where_roads_lead():
    game = braess()
    figure = map_figure(game, np.array([4.0, 2, 2, 2, 4]))
    place, network = places(game.network), game.network
    arrows = [path.vertices for path in drawn(figure, PolyCollection).get_paths()]
    assert len(arrows) == 5
    for link, arrow in enumerate(arrows):
        along = place[network.head[link]] - place[network.tail[link]]
        tip, left, right = arrow[:3]
        assert (tip - 0.5 * (left + right)) @ along > 0
    assert figure.axes[1].get_ylabel() == "flow"  # affine costs have no capacity
    np.testing.assert_array_equal(drawn(figure, LineCollection).get_array(), [4, 2, 2, 2, 4])


def test_parallel_roads_are_side_by_side():
    game = parallel_links(4, 10)
    segments = np.array(drawn(map_figure(game, np.arange(4.0)), LineCollection).get_segments())
    starts = segments[:, 0]
    apart = np.linalg.norm(starts[:, None] - starts, axis=2)[np.triu_indices(4, 1)]
    assert apart.min() > 0.01
    np.testing.assert_allclose(starts.mean(axis=0), places(game.network)[0], atol=1e-12)


def test_capacities_below_tolls_and_given_ones_and_none(tmp_path):
    x = np.arange(1.0, CITY.n_coordinates + 1)
    tolled = CITY.tolled(np.ones(CITY.n_coordinates))
    for figure in (map_figure(tolled, x), map_figure(CITY, x, CITY.costs.capacity)):
        np.testing.assert_array_equal(drawn(figure, LineCollection).get_array(), x / CITY.costs.capacity)
    figure = map_figure(braess(), np.ones(5), np.array([2.0, 0, 1, 1, 1]))
    figure.savefig(tmp_path / "a.png")
    np.testing.assert_array_equal(drawn(figure, LineCollection).get_array(), [0.5, 0, 1, 1, 1])
    map_figure(CITY, 0.0 * x).savefig(tmp_path / "b.png")  # nobody drives


def test_many_nodes_have_no_names_and_places_need_no_map(tmp_path):
    large = grid_city(8, 8, zones=3)
    figure = map_figure(large, np.ones(large.n_coordinates))
    assert not figure.axes[0].texts
    apart = CongestionGame.from_trips(RoadNetwork(4, [0, 2], [1, 3]), AffineCosts([1, 1], 1.0), [(0, 1, 1), (2, 3, 1)])
    map_figure(apart, np.ones(2)).savefig(tmp_path / "a.png")
    for game in (braess(), pigou(), apart):
        np.testing.assert_array_equal(places(game.network), places(game.network))
        assert np.isfinite(places(game.network)).all()


def test_what_has_no_map():
    with pytest.raises(InvalidData, match="listed actions and no map"):
        map_figure(random_listed(), np.ones(5))
    with pytest.raises(InvalidData, match="x has shape 4"):
        map_figure(braess(), np.ones(4))


def test_convergence_is_the_history(city, tmp_path):
    slow = solve(CITY, FrankWolfe(tolerance=1e-2))
    figure = convergence_figure(path_equilibrium=city, frank_wolfe=slow)
    figure.savefig(tmp_path / "a.png")
    steps, seconds = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["path equilibrium", "frank wolfe"]
    for line, timed, result in zip(steps.lines, seconds.lines, (city, slow), strict=True):
        gaps = result.history["relative_gap"]
        for one in (line, timed):
            np.testing.assert_array_equal(one.get_ydata(), np.where(gaps > 0, gaps, np.nan))
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(gaps) + 1))
        np.testing.assert_array_equal(timed.get_xdata(), result.history.seconds)
    with pytest.raises(UnknownName, match="relative_gap"):
        convergence_figure(atomic=solve(braess(), AtomicRouting()))


@pytest.mark.parametrize("method", [FrankWolfe(tolerance=1e-2), AtomicRouting()])
def test_regrets_count_every_vehicle(method, tmp_path):
    result = solve(CITY, method)
    figure = regret_figure(result, bins=7)
    figure.savefig(tmp_path / "a.png")
    bars, line = figure.axes[0].patches[0].get_data(), figure.axes[0].lines[0]
    assert bars.values.sum() == pytest.approx(CITY.count.sum())
    assert line.get_xdata()[0] == result.gap.upper
    gains, flow = result.gains, result.policy.flow
    for low, high, vehicles in zip(bars.edges, bars.edges[1:], bars.values, strict=False):
        last = high == bars.edges[-1]
        inside = (gains >= low) & ((gains <= high) if last else (gains < high))
        assert vehicles == pytest.approx(flow[inside].sum())
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[0] == ("vehicles" if result.gap.upper else "all vehicles: none would save anything")


def test_importing_is_light_and_drawing_loads_no_pyplot():
    code = "import sys, numpy as np, eqsolve.plotting.congestion as c\n"
    code += "assert not {'matplotlib', 'networkx', 'numba', 'highspy', 'cvxpy'} & set(sys.modules)\n"
    code += "from eqsolve.aggregative.congestion_games.generators import braess\n"
    code += "c.map_figure(braess(), np.ones(5)); assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
