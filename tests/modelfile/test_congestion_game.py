"""Model files of congestion games: roads with trips, files of the network collection, listed actions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from eqsolve.aggregative.congestion_games import costs, generators
from eqsolve.aggregative.congestion_games.actions import ListedActions, Routes
from eqsolve.aggregative.congestion_games.atomic import AtomicRouting
from eqsolve.aggregative.congestion_games.costs import (
    AffineCosts,
    BPRCosts,
    CallableCosts,
    MarginalCosts,
    MixedCosts,
    PiecewiseLinearCosts,
    PolynomialCosts,
    SumOfPowers,
    TolledCosts,
)
from eqsolve.aggregative.congestion_games.frank_wolfe import FrankWolfe
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.linear_masters import LinearMasters
from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.aggregative.congestion_games.tntp import read_flow
from eqsolve.driver import solve, system_of
from eqsolve.driver.pack import fingerprint
from eqsolve.errors import EqsolveError, InvalidData
from eqsolve.modelfile import read_model, write_model
from eqsolve.modelfile.packed import renamed

HEAD = "eqsolve: 1\nsystem: congestion_game\n"
PROJECT = Path(__file__).resolve().parents[2]
REAL = PROJECT.parent / "shared" / "data" / "transport"


def model_of(folder, text):
    path = folder / "a.yaml"
    path.write_text(HEAD + text)
    return read_model(path)


def same(one, other):
    assert type(one) is type(other)
    assert fingerprint(one) == fingerprint(other)


NAMES = ("home", "work", "a", "b")
NETWORK = RoadNetwork(4, [0, 0, 2, 2, 3, 1], [2, 3, 1, 3, 1, 2], first_through=2, names=NAMES)
LINKS = "tail: [home, home, a, a, b, work]\n    head: [a, b, work, b, work, a]\n    zones: [home, work]"
FLOW = (np.array([0.0, 5.0]), np.array([0.0, 2.0, 4.0]), *4 * (np.array([0.0]),))
COST = (np.array([1.0, 3.0]), np.array([1.0, 1.0, 2.5]), *4 * (np.array([2.0]),))
FAMILIES = {
    "{family: bpr, free_flow: [1, 2, 3, 1, 1, 1], capacity: 5}": BPRCosts([1, 2, 3, 1, 1, 1], 0.15, 5 * np.ones(6), 4),
    "{family: bpr, free_flow: 2, capacity: [5, 6, 5, 5, 5, 5], b: 0.5, power: [1, 4, 4, 4, 4, 0]}": BPRCosts(
        2 * np.ones(6), 0.5, [5, 6, 5, 5, 5, 5], [1, 4, 4, 4, 4, 0]
    ),
    "{family: affine, constant: [0, 1, 2, 3, 4, 5], slope: 1e-1}": AffineCosts([0, 1, 2, 3, 4, 5], 0.1),
    "{family: polynomial, coefficients: [[1, 0, 2], [1, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]}": PolynomialCosts(
        [[1, 0, 2], [1, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]
    ),
    f"{{family: piecewise, flow: {[one.tolist() for one in FLOW]}, cost: {[one.tolist() for one in COST]}}}": PiecewiseLinearCosts(
        FLOW, COST
    ),
}
TRIPS = (
    "trips: {origin: [home, home, work, home], destination: [work, b, home, work], vehicles: [3, 2.5, 0, 4], weight: [1, 2, 9, 3]}"
)


@pytest.mark.parametrize("text", FAMILIES)
def test_roads_with_every_family_of_costs(text, tmp_path):
    model = model_of(tmp_path, f"name: mine\ngame:\n  roads:\n    {LINKS}\n    costs: {text}\n    {TRIPS}\n")
    listed = [(0, 1, 3.0), (0, 3, 2.5), (0, 1, 4.0)]
    same(model.game, CongestionGame.from_trips(NETWORK, FAMILIES[text], listed, [1.0, 2.0, 3.0], "mine"))
    assert model.game.types == ("home-work", "home-b", "home-work")


def test_roads_from_files(tmp_path):
    (tmp_path / "links.csv").write_text("from,to,minutes\nhome,a,1\na,work,2.5\nhome,work,4\n")
    np.savez(tmp_path / "od.npz", o=["home", "work"], d=["work", "work"], v=[7, 5])
    text = """game:
  roads:
    tail: {csv: links.csv, column: from}
    head: {csv: links.csv, column: to}
    costs: {family: affine, constant: {csv: links.csv, column: minutes}, slope: 1}
    trips: {origin: {npz: od.npz, key: o}, destination: {npz: od.npz, key: d}, vehicles: {npz: od.npz, key: v}}
"""
    network = RoadNetwork(3, [0, 1, 0], [1, 2, 2], names=("home", "a", "work"))
    expected = CongestionGame.from_trips(network, AffineCosts([1, 2.5, 4], 1.0), [(0, 2, 7)])
    same(model_of(tmp_path, text).game, expected)


@pytest.mark.parametrize("text", FAMILIES)
def test_listed_actions_with_every_family_of_costs(text, tmp_path):
    game = f"game:\n  costs: {text}\n  actions: [[[0, 2], [1], []], [[3, 4]]]\n  count: [4, 1]\n  weight: [1, 2]\n"
    expected = CongestionGame(FAMILIES[text], ListedActions.of([[[0, 2], [1], []], [[3, 4]]], 6), [4, 1], [1, 2])
    same(model_of(tmp_path, game).game, expected)


def test_listed_actions_by_name_and_by_number(tmp_path):
    text = "game: {costs: {family: affine, constant: 1, slope: [1, 2]}, resources: [cpu, disk], types: [batch], count: 3,"
    model = model_of(tmp_path, f"{text} actions: [[[cpu], [disk, 0]]]}}\n")
    actions = ListedActions.of([[[0], [1, 0]]], 2)
    expected = CongestionGame(AffineCosts([1, 1], [1, 2]), actions, [3], resources=("cpu", "disk"), types=("batch",))
    same(model.game, expected)
    counted = model_of(tmp_path, "game: {costs: {family: affine, constant: 1, slope: 1}, count: 3, actions: [[[0], [2]]]}\n")
    assert counted.game.n_coordinates == 3


NET = """<NUMBER OF ZONES> 2
<NUMBER OF NODES> 3
<FIRST THRU NODE> 3
<NUMBER OF LINKS> 3
<END OF METADATA>
~ init term capacity length free_flow b power speed toll type ;
1 3 10 1 2 0.15 4 0 0 1 ;
3 2 10 1 2 0.15 4 0 0 1 ;
1 2 5 1 3 0.15 4 0 0 1 ;
"""
DEMAND = """<NUMBER OF ZONES> 2
<TOTAL OD FLOW> 12.0
<END OF METADATA>

Origin 1
    1 : 0.0;    2 : 12.0;
"""
NODES = "Node X Y ;\n1 0 0 ;\n2 1 0 ;\n3 0.5 1 ;\n"
FILES = {"a_net.tntp": NET, "a_trips.tntp": DEMAND, "a_node.tntp": NODES}


def with_files(folder):
    for name, content in FILES.items():
        (folder / name).write_text(content)


def test_files_of_the_network_collection(tmp_path):
    with_files(tmp_path)
    plain = model_of(tmp_path, "game: {tntp: {net: a_net.tntp, trips: a_trips.tntp}}\n").game
    network = RoadNetwork(3, [0, 2, 0], [2, 1, 1], first_through=2, names=("1", "2", "3"))
    same(plain, CongestionGame.from_trips(network, BPRCosts([2, 2, 3], 0.15, [10, 10, 5], 4), [(0, 1, 12.0)], name="a"))
    text = "name: mine\ngame: {tntp: {net: a_net.tntp, trips: a_trips.tntp, nodes: a_node.tntp}}\n"
    placed = model_of(tmp_path, text).game
    assert placed.name == "mine"
    np.testing.assert_array_equal(placed.network.position, [[0, 0], [1, 0], [0.5, 1]])


@pytest.mark.skipif(not REAL.exists(), reason="the network collection is not here")
def test_sioux_falls_has_its_published_flows(tmp_path):
    files = {key: REAL / f"SiouxFalls_{name}.tntp" for key, name in (("net", "net"), ("trips", "trips"), ("nodes", "node"))}
    text = "".join(f"    {key}: {path}\n" for key, path in files.items())
    model = model_of(tmp_path, f"game:\n  tntp:\n{text}algorithm: {{name: PathEquilibrium, tolerance: 1e-9}}\n")
    assert (model.game.name, model.game.n_types, model.game.n_players) == ("SiouxFalls", 528, 360_600)
    result = solve(model.game, model.algorithm)
    assert result.is_converged
    assert result.wardrop.relative_gap <= 1e-9
    flow, _ = read_flow(REAL / "SiouxFalls_flow.tntp", model.game.network)
    np.testing.assert_allclose(result.aggregator, flow, rtol=1e-3)
    again = read_model(write_model(tmp_path / "again.yaml", model.game))
    same(again.game, model.game)


@pytest.mark.parametrize("name", generators.GENERATORS)
def test_every_generator_has_a_name(name, tmp_path):
    same(model_of(tmp_path, f"game: {{generator: {name}}}\n").game, generators.GENERATORS[name]())
    mine = model_of(tmp_path, f"name: mine\ngame: {{generator: {name}}}\n").game
    same(mine, renamed(generators.GENERATORS[name](), "mine"))


def test_parameters_of_a_generator(tmp_path):
    text = "game: {generator: grid_city, rows: 3, columns: 4, zones: 3, load: 5e-1, seed: 7}\n"
    same(model_of(tmp_path, text).game, generators.grid_city(3, 4, zones=3, load=0.5, seed=7))


def test_the_examples_of_the_document(tmp_path):
    document = (PROJECT / "docs" / "model-files.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
    (roads,), (sets,) = ([one for one in blocks if key in one] for key in ("  roads:\n", "  actions:\n    - ["))
    model = model_of(tmp_path, roads)
    network = RoadNetwork(4, [0, 0, 2, 2, 3], [2, 3, 1, 3, 1], 2, names=("home", "work", "bridge", "tunnel"))
    times = BPRCosts([6, 8, 8, 2, 6], 0.15, [900, 1200, 1200, 600, 900], 4)
    same(model.game, CongestionGame.from_trips(network, times, [(0, 1, 1800), (0, 1, 150)], [1.0, 2.5]))
    assert model.algorithm == AtomicRouting(tolerance=0.0)
    assert solve(model.game, model.algorithm).is_converged
    model = model_of(tmp_path, sets)
    actions = ListedActions.of([[[0], [1, 2]], [[1], [2]]], 3)
    points = [[0.0, 10.0, 20.0], [0.0], [0.0, 15.0]], [[1.0, 1.0, 4.0], [2.0], [1.0, 2.5]]
    names = {"resources": ("link a", "link b", "link c"), "types": ("video", "mail")}
    delays = PiecewiseLinearCosts(*(tuple(np.array(one) for one in part) for part in points))
    same(model.game, CongestionGame(delays, actions, [12, 5], **names))
    assert model.algorithm == PathEquilibrium()
    assert solve(model.game, model.algorithm).is_converged


ALGORITHMS = {
    "{name: PathEquilibrium, tolerance: 1e-6, sweeps: 9}": PathEquilibrium(tolerance=1e-6, sweeps=9),
    "{name: FrankWolfe, tolerance: 1e-3}": FrankWolfe(tolerance=1e-3),
    "{name: LinearMasters, tolerance: 1e-4}": LinearMasters(tolerance=1e-4),
    "{name: AtomicRouting, tolerance: 1e-3, equilibrium: {name: FrankWolfe, tolerance: 1e-2}}": AtomicRouting(
        FrankWolfe(tolerance=1e-2), tolerance=1e-3
    ),
    "{name: AtomicRouting, equilibrium: null}": AtomicRouting(None),
}


@pytest.mark.parametrize("text", ALGORITHMS)
def test_algorithms_are_read_and_written_back(text, tmp_path):
    model = model_of(tmp_path, f"game: {{generator: braess}}\nalgorithm: {text}\n")
    assert model.algorithm == ALGORITHMS[text]
    again = read_model(write_model(tmp_path / "again.yaml", model.game, model.algorithm, seed=5))
    same(again.game, model.game)
    assert again.algorithm == model.algorithm
    assert again.seed == 5


PACKED = {
    "bpr": BPRCosts([1.0, 2], 0.15, [3.0, 4], 4),
    "affine": AffineCosts([1.0, 2], 0.1),
    "affine, falling": AffineCosts([9.0, 9], -0.1),
    "polynomial": PolynomialCosts([[1.0, 2, 0], [0, 0, 1 / 3]]),
    "powers": SumOfPowers([[1.0, 0.1], [2.0, 0.3]], [[0, 1.5], [0, 2.5]]),
    "piecewise": PiecewiseLinearCosts(([0.0, 2.0], [0.0]), ([1.0, 4.0], [2.0])),
    "marginal": MarginalCosts(BPRCosts([1.0, 2], 0.15, [3.0, 4], 4)),
    "tolled": TolledCosts(AffineCosts([1.0, 2], 0.1), [0.5, -1.0]),
    "mixed": MixedCosts((BPRCosts([1.0], 0.15, [3.0], 4), PiecewiseLinearCosts(([0.0],), ([2.0],))), [1, 0]),
}
ROUTES = Routes(RoadNetwork(2, [0, 0], [1, 1], position=[[0.1, 0.2], [0.3, 1 / 3]]), [0], [1])
LISTED = ListedActions.of([[[0], [1]]], 2)


@pytest.mark.parametrize("family", PACKED)
def test_every_family_is_written_to_the_last_bit(family, tmp_path):
    own = PACKED[family]
    games = [CongestionGame(own, ROUTES, [2.5]), CongestionGame(own, LISTED, [3], [1 / 3], "mine", ("x", "y"), ("t",))]
    flow = np.random.default_rng(0).random((5, 2))
    for game in games:
        model = read_model(write_model(tmp_path / "game.yaml", game))
        same(model.game, game)
        assert model.algorithm == system_of(game).default_algorithm(game)
        for name in ("cost", "integral", "derivative"):
            assert getattr(model.game.costs, name)(flow).tobytes() == getattr(own, name)(flow).tobytes()


def test_all_families_of_costs_are_tried():
    kinds = [one for one in vars(costs).values() if isinstance(one, type) and not one.__abstractmethods__]
    assert set(kinds) == {type(one) for one in PACKED.values()} | {CallableCosts}


def test_functions_cannot_be_written(tmp_path):
    function = CallableCosts(lambda x: 1.0 + x, np.ones_like, 2)
    for inside in (function, TolledCosts(function, [1.0, 0])):
        with pytest.raises(InvalidData, match=r"costs\.function is a function, which cannot be written to a file"):
            write_model(tmp_path / "game.yaml", CongestionGame(inside, LISTED, [3]))
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_model_says_what_its_description_says():
    model = read_model("braess")
    slow, fast = (solve(game, model.algorithm) for game in (model.game, model.game.without([4])))
    assert [one.value / 6 for one in (slow, fast)] == pytest.approx([92, 83], abs=1e-5)
    assert all(one.gap.upper < 1e-4 for one in (slow, fast))


ROADS = "game: {roads: {tail: [a, a, b], head: [b, b, c], costs: {family: affine, constant: 1, slope: [0, 1, 2]}, "
ROADS += "trips: {origin: [a, b], destination: [c, c], vehicles: [1, 2]}}}\n"
SETS = "game: {costs: {family: affine, constant: [1, 2], slope: 1}, actions: [[[0], [1]]], count: 3}\n"
FOLDER = "game: {tntp: {net: a_net.tntp, trips: a_trips.tntp}}\n"
REFUSED = {
    "an unknown generator": ("game: {generator: breass}\n", "Did you mean 'braess'"),
    "an unknown parameter": ("game: {generator: braess, vehicle: 3}\n", "Did you mean 'vehicles'"),
    "a parameter out of range": ("game: {generator: braess, vehicles: 0}\n", "vehicles is 0"),
    "an unknown key": (SETS.replace("count", "counts"), "unknown key game.counts"),
    "no costs": ("game: {actions: [[[0]]], count: 1}\n", "the key game.costs is missing"),
    "an unknown key of roads": (ROADS.replace("tail", "tails"), "Did you mean 'tail'"),
    "an unknown family": (SETS.replace("affine", "afine"), "game.costs is of the unknown kind 'afine'"),
    "no family": (SETS.replace("family: affine, ", ""), "the key family is missing"),
    "an unknown key of costs": (SETS.replace("slope", "slopes"), "Did you mean 'slope'"),
    "a missing key of costs": (SETS.replace(", slope: 1", ""), "the key game.costs.slope is missing"),
    "numbers that are none": (SETS.replace("slope: 1", "slope: [1, steep]"), "game.costs.slope is not an array of numbers"),
    "a column too short": (ROADS.replace("[0, 1, 2]", "[0, 1]"), "costs.slope has shape 2, expected 3"),
    "coefficients of too few roads": (
        ROADS.replace("affine, constant: 1, slope: [0, 1, 2]", "polynomial, coefficients: [[1], [2]]"),
        "costs.coefficients",
    ),
    "curves of too few roads": (
        ROADS.replace("affine, constant: 1, slope: [0, 1, 2]", "piecewise, flow: [[0]], cost: [[1]]"),
        "costs.flow lists 1 curves and costs.cost 1, and there are 3 resources",
    ),
    "a curve that does not begin at 0": (
        SETS.replace("affine, constant: [1, 2], slope: 1", "piecewise, flow: [[0], [1, 2]], cost: [[1], [1, 2]]"),
        "flow[1] begins at 1",
    ),
    "a negative cost": (ROADS.replace("constant: 1", "constant: [1, -2, 0]"), "[1] is -2"),
    "a cost that becomes negative": (SETS.replace("slope: 1", "slope: [0, -1]"), "the cost of resource 1 is -"),
    "no capacity": (
        ROADS.replace("affine, constant: 1, slope: [0, 1, 2]", "bpr, free_flow: 1, capacity: [1, 0, 1]"),
        "capacity[1] is 0, not above 0",
    ),
    "a head too few": (ROADS.replace("[b, b, c]", "[b, c]"), "tail has 3 rows, head has 2"),
    "a road to itself": (ROADS.replace("[b, b, c]", "[b, a, c]"), "link 1 leads from node a to itself"),
    "names that are none": (ROADS.replace("tail: [a, a, b]", "tail: [0.5, a, b]"), "game.roads.tail is not a list of names"),
    "a zone twice": (ROADS.replace("{tail", "{zones: [a, c, a], tail"), "zones[2] is 'a', which is there already"),
    "an unknown origin": (ROADS.replace("origin: [a, b]", "origin: [a, B]"), "trips.origin[1]: unknown node 'B'"),
    "an unknown destination": (ROADS.replace("destination: [c, c]", "destination: [cc, c]"), "trips.destination[0]: unknown node"),
    "a destination too few": (ROADS.replace("destination: [c, c]", "destination: [c]"), "trips.destination has 1 rows"),
    "too many vehicles": (ROADS.replace("[1, 2]", "[1, 2, 3]"), "trips.vehicles has shape 3, expected 2"),
    "negative vehicles": (ROADS.replace("[1, 2]", "[1, -2]"), "trips.vehicles[1] is -2, not 0 or more"),
    "no vehicles": (ROADS.replace("[1, 2]", "[0, 0]"), "trips.vehicles gives no vehicle that goes anywhere"),
    "no way": (
        ROADS.replace("origin: [a, b]", "origin: [a, c]").replace("[c, c]", "[c, a]"),
        "from node c to node a",
    ),
    "a way through a zone only": (ROADS.replace("{tail", "{zones: [a, c, b], tail"), "no road leads from zone a to zone c"),
    "a weight of nothing": (ROADS.replace("[1, 2]}", "[1, 2], weight: [1, 0]}"), "weight[1] is 0, not above 0"),
    "a resource that does not exist": (SETS.replace("[[[0], [1]]]", "[[[0], [1, 2]]]"), "actions[0][1][1] is 2"),
    "a negative resource": (SETS.replace("[[[0], [1]]]", "[[[-1], [1]]]"), "actions[0][0][0] is -1"),
    "an unknown resource": (
        SETS.replace("actions: [[[0], [1]]]", "resources: [cpu, disk], actions: [[[cpu], [dsk]]]"),
        "actions[0][1][0]: unknown resource 'dsk'",
    ),
    "half a resource": (SETS.replace("[[[0], [1]]]", "[[[0], [1.5]]]"), "game.actions[0][1][0] is 1.5, not a resource"),
    "a truth value for a resource": (SETS.replace("[[[0], [1]]]", "[[[0], [yes]]]"), "game.actions[0][1][0] is True"),
    "a resource twice": (SETS.replace("[[[0], [1]]]", "[[[0], [1, 1]]]"), "action 1 names resource 1 twice"),
    "a type without actions": (SETS.replace("[[[0], [1]]]", "[[[0], [1]], []]"), "n_actions[1] is 0"),
    "actions that are none": (SETS.replace("[[[0], [1]]]", "[[0, 1]]"), "game.actions[0][0] is 0"),
    "counts of too many types": (SETS.replace("count: 3", "count: [3, 4]"), "count has shape 2, expected 1"),
    "no count": (SETS.replace("count: 3", "count: 0"), "count[0] is 0, not above 0"),
    "names of too many types": (SETS.replace("count: 3", "count: 3, types: [x, y]"), "2 names of types, expected 1"),
    "no file": (FOLDER.replace("a_trips", "b_trips"), "b_trips.tntp"),
    "a file by number": (FOLDER.replace("a_trips.tntp", "7"), "game.tntp.trips is 7, not the name of a file"),
    "no trips file": ("game: {tntp: {net: a_net.tntp}}\n", "the key game.tntp.trips is missing"),
    "an unknown file": (FOLDER.replace("trips:", "trip:"), "Did you mean 'trips'"),
    "files in words": ("game: {tntp: a_net.tntp}\n", "game.tntp is 'a_net.tntp', not keys and values"),
    "the wrong file": (FOLDER.replace("a_trips", "a_net"), "a_net.tntp:7: '1 3 10 1 2 0.15 4 0 0 1 ;' comes before any 'Origin'"),
    "another system's game": ("game: {npz: other.npz}\n", "which is no congestion_game game"),
    "an unknown algorithm": (SETS + "algorithm: {name: PathEquilibria}\n", "Did you mean 'PathEquilibrium'"),
    "a tolerance of nothing": (SETS + "algorithm: {name: FrankWolfe, tolerance: 0}\n", "tolerance is 0"),
    "a game in words": ("game: braess\n", "game is 'braess', not keys and values"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_with_the_place(name, tmp_path):
    from eqsolve.mdp.generators import forest

    write_model(tmp_path / "other.yaml", forest())
    with_files(tmp_path)
    text, words = REFUSED[name]
    with pytest.raises(EqsolveError) as caught:
        model_of(tmp_path, text)
    assert words in str(caught.value)
    assert "a.yaml" in str(caught.value)
    assert "validation error" not in str(caught.value)
