"""Reading TNTP files: what they hold, and every way in which a line can be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative.congestion_games import TolledCosts, braess, read_flow, read_game, read_net, read_nodes, read_trips
from eqsolve.errors import FileTrouble, InvalidModelFile
from tests.aggregative.congestion_games.roads import OBJECTIVE, TRANSPORT, best_known_flow, needs_data, sioux_falls

NET = """<NUMBER OF ZONES> 2
<NUMBER OF NODES> 4
<FIRST THRU NODE> 3
<NUMBER OF LINKS> 5
<ORIGINAL HEADER>~ Init node Term node
<END OF METADATA>

~ init_node term_node capacity length free_flow_time b power speed toll link_type ;
\t1\t3\t10\t1.5\t2\t0.15\t4\t50\t0\t1\t;
\t3\t4\t20\t2.5\t3\t0.15\t4\t50\t1\t2\t;
\t3\t4\t30\t2.5\t3\t0.15\t4\t50\t1\t2;
\t4\t2\t10\t1.5\t2\t0.15\t4\t50\t0\t1\t;
\t2\t1\t10\t1.5\t2\t0\t0\t50\t0\t1\t;
"""
TRIPS = """<NUMBER OF ZONES> 2
<TOTAL OD FLOW> 12.5
<END OF METADATA>

Origin \t1
    1 :      0.0;     2 :    10.5;
Origin  2
1 : 2.0;
"""
NODES = "Node\tX\tY\t;\n2 1.0 2.0 ;\n1 0.0 0.5;\n4 3.0 3.5\n3 2.0 2.5 ;\n"
FLOW = "From \tTo \tVolume \tCost \n1 3 10.0 2.3\n3 4 4.0 3.1\n4 2 10.5 2.4\n3 4 6.5 3.2\n2 : 1 2.0 2.0 ;\n"


def written(tmp_path, text, name="town_net.tntp"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_all_four_files(tmp_path):
    net, trips = written(tmp_path, NET), written(tmp_path, TRIPS, "trips.tntp")
    game = read_game(net, trips, written(tmp_path, NODES, "nodes.tntp"))
    assert repr(game) == "<CongestionGame 'town': 2 types, 12.5 vehicles, 5 roads, 4 nodes>"
    assert game.types == ("1-2", "2-1")
    assert game.count.tolist() == [10.5, 2.0]
    network = game.network
    assert (network.first_through, network.names) == (2, ("1", "2", "3", "4"))
    assert network.position.tolist() == [[0.0, 0.5], [1.0, 2.0], [2.0, 2.5], [3.0, 3.5]]
    flow, cost = read_flow(written(tmp_path, FLOW, "flow.tntp"), network)
    assert flow.tolist() == [10.0, 4.0, 6.5, 10.5, 2.0]
    assert cost.tolist() == [2.3, 3.1, 3.2, 2.4, 2.0]
    assert game.costs.cost(np.full(5, 10.0)) == pytest.approx([2.3, 3 + 0.45 / 16, 3 + 0.45 / 81, 2.3, 2.0])


def test_what_a_net_file_holds_beside_times(tmp_path):
    path = written(tmp_path, NET)
    roads = read_net(path)
    assert roads.length.tolist() == [1.5, 2.5, 2.5, 1.5, 1.5]
    assert roads.toll.tolist() == [0.0, 1.0, 1.0, 0.0, 0.0]
    assert roads.link_type.tolist() == [1, 2, 2, 1, 1]
    assert roads.n_zones == 2
    dear = read_net(path, toll_factor=2.0, distance_factor=0.5).costs
    assert isinstance(dear, TolledCosts)
    assert dear.toll.tolist() == [0.75, 3.25, 3.25, 0.75, 0.75]
    stated = written(tmp_path, NET.replace("<END", "<TOLL FACTOR> 3\n<END"), "stated.tntp")
    assert read_net(stated).costs.toll.tolist() == [0.0, 3.0, 3.0, 0.0, 0.0]


LINK = "\t4\t2\t10\t1.5\t2\t0.15\t4\t50\t0\t1\t;\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("<NUMBER OF NODES> 4\n", "", 1, "<NUMBER OF NODES> is missing"),
        ("<NUMBER OF NODES> 4", "<NUMBER OF NODES> four", 2, "<NUMBER OF NODES> is 'four'"),
        ("<NUMBER OF ZONES> 2", "<NUMBER OF ZONES> 5", 1, "<NUMBER OF ZONES> is '5'"),
        ("<FIRST THRU NODE> 3", "<FIRST THRU NODE> 6", 3, "<FIRST THRU NODE> is '6'"),
        ("<FIRST THRU NODE> 3", "<NUMBER OF NODES> 4", 3, "<NUMBER OF NODES> is given twice"),
        ("<FIRST THRU NODE> 3", "first thru node 3", 3, "is not a line of metadata"),
        ("<END OF METADATA>", "", 9, "is not a line of metadata"),
        (NET[NET.index("<END") :], "", 5, "the file ends before <END OF METADATA>"),
        (LINK, "", 12, "the file ends after 4 links; <NUMBER OF LINKS> announces 5"),
        (LINK, LINK + LINK, 14, "more than the 5 links"),
        ("\t4\t2\t10\t1.5\t2\t0.15\t4\t50\t0\t1\t;", "\t4\t2\t10\t1.5\t2\t0.15", 12, "does not end with ';'"),
        ("\t4\t2\t10\t", "\t4\t2\t", 12, "the row has 9 entries, expected 10"),
        ("\t4\t2\t10\t", "\t4\t2\tten\t", 12, "capacity is 'ten', not a number"),
        ("\t4\t2\t10\t", "\t4\t2\tinf\t", 12, "capacity is inf, not a finite number"),
        ("\t4\t2\t10\t", "\t4\t2\t-10\t", 12, "capacity is -10, not 0 or more"),
        ("\t4\t2\t10\t", "\t4\t2\t0\t", 12, "capacity is 0, not above 0"),
        ("\t4\t2\t10\t", "\t4\t5\t10\t", 12, "term_node is 5; the nodes are 1 to 4"),
        ("\t4\t2\t10\t", "\t4.5\t2\t10\t", 12, "init_node is 4.5"),
        ("\t4\t2\t10\t", "\t2\t2\t10\t", 12, "the link leads from node 2 to itself"),
        ("\t4\t2\t10\t1.5\t2\t0.15\t4\t", "\t4\t2\t10\t1.5\t2\t0.15\t0.5\t", 12, "power is 0.5, not 0 and not 1 or more"),
        ("\t4\t2\t10\t1.5\t2\t", "\t4\t2\t10\t1.5\t-2\t", 12, "free_flow_time is -2"),
        ("50\t0\t1\t;\n\t2", "50\t0\t1.5\t;\n\t2", 12, "link_type is 1.5"),
    ],
)
def test_a_malformed_net(tmp_path, old, new, line, words):
    assert NET.count(old) == 1
    path = written(tmp_path, NET.replace(old, new))
    with pytest.raises(InvalidModelFile) as error:
        read_net(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("<NUMBER OF ZONES> 2\n", "", 1, "<NUMBER OF ZONES> is missing"),
        ("12.5", "13.5", 2, "<TOTAL OD FLOW> is 13.5, and the trips add up to 12.5"),
        ("12.5", "many", 2, "<TOTAL OD FLOW> is 'many'"),
        ("Origin  2\n1 : 2.0;\n", "", 2, "the trips add up to 10.5"),
        ("Origin \t1\n", "", 5, "comes before any 'Origin'"),
        ("Origin  2", "Origin  3", 7, "'3' is not a zone; the zones are 1 to 2"),
        ("Origin  2", "Origin", 7, "is not 'Origin' and a zone"),
        ("2 :    10.5;", "3 :    10.5;", 6, "'3' is not a zone"),
        ("2 :    10.5;", "2 :    10.5", 6, "does not end with ';'"),
        ("2 :    10.5;", "2     10.5;", 6, "is not 'destination : trips'"),
        ("2 :    10.5;", "2 :    -10.5;", 6, "the trips from 1 to 2 are -10.5"),
        ("2 :    10.5;", "2 :    nan;", 6, "trips is nan, not a finite number"),
        ("2 :    10.5;", "1 :    10.5;", 6, "the trips from 1 to 1 are given twice"),
    ],
)
def test_malformed_trips(tmp_path, old, new, line, words):
    assert TRIPS.count(old) == 1
    path = written(tmp_path, TRIPS.replace(old, new))
    with pytest.raises(InvalidModelFile) as error:
        read_trips(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert words in str(error.value)


def test_numbers_that_no_file_is_believed(tmp_path):
    for old, new, words in (
        ("LINKS> ", "LINKS> 9999999999", "announces 9999999999"),
        ("NODES> ", "NODES> 9999999999", r":\d+: <NUMBER OF NODES> is '9999999999"),
    ):
        assert NET.count(old) == 1
        with pytest.raises(InvalidModelFile, match=words):
            read_net(written(tmp_path, NET.replace(old, new)))
    with pytest.raises(InvalidModelFile, match=r":1: <NUMBER OF ZONES> is '99999992'"):
        read_trips(written(tmp_path, TRIPS.replace("ZONES> 2", "ZONES> 99999992")))


def test_trips_of_another_place(tmp_path):
    with pytest.raises(InvalidModelFile, match=":1: <NUMBER OF ZONES> is 2; the network has 3"):
        read_trips(written(tmp_path, TRIPS), 3)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("3 2.0 2.5 ;\n", "", 4, "node 3 is missing"),
        ("3 2.0", "1 2.0", 5, "node 1 is given twice"),
        ("3 2.0", "7 2.0", 5, "node is 7; the nodes are 1 to 4"),
        ("3 2.0", "3", 5, "the row has 2 entries, expected 3"),
    ],
)
def test_malformed_nodes(tmp_path, old, new, line, words):
    with pytest.raises(InvalidModelFile, match=rf"tntp:{line}: {words}"):
        read_nodes(written(tmp_path, NODES.replace(old, new)), 4)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("3 4 6.5", "3 2 6.5", 5, "the network has no link, or no further one, from 3 to 2"),
        ("2 : 1", "1 : 3", 6, "the network has no link, or no further one, from 1 to 3"),
        ("2 : 1 2.0 2.0 ;\n", "", 5, "1 links are missing, link 2-1 the first"),
        ("6.5", "much", 5, "volume is 'much'"),
    ],
)
def test_a_malformed_flow(tmp_path, old, new, line, words):
    network = read_net(written(tmp_path, NET)).network
    with pytest.raises(InvalidModelFile, match=rf"tntp:{line}: {words}"):
        read_flow(written(tmp_path, FLOW.replace(old, new), "flow.tntp"), network)


def test_files_that_are_not_there_or_no_text(tmp_path):
    with pytest.raises(FileTrouble, match="cannot read"):
        read_net(tmp_path / "nowhere.tntp")
    path = tmp_path / "bytes.tntp"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidModelFile, match="not a text file"):
        read_trips(path)


@needs_data
def test_sioux_falls():
    game = sioux_falls()
    assert repr(game) == "<CongestionGame 'SiouxFalls': 528 types, 360,600 vehicles, 76 roads, 24 nodes>"
    flow, cost = best_known_flow()
    assert game.costs.cost(flow) == pytest.approx(cost, rel=1e-12)
    assert game.costs.integral(flow).sum() == pytest.approx(OBJECTIVE, rel=1e-14)
    load, least = game.actions.load(cost, game.demand)
    assert load.sum() > 0
    assert least @ game.demand == pytest.approx(flow @ cost, rel=1e-13)  # the best known flow is an equilibrium


@needs_data
def test_the_file_of_braess_is_the_generator():
    game = read_game(*(TRANSPORT / f"Braess_{one}.tntp" for one in ("net", "trips")))
    theirs = {0: 0, 3: 1, 1: 2, 2: 3}  # in the file the two zones come first
    place = {ends: r for r, ends in enumerate(zip(game.network.tail.tolist(), game.network.head.tolist(), strict=True))}
    mine = braess()
    pairs = zip(mine.network.tail.tolist(), mine.network.head.tolist(), strict=True)
    order = np.array([place[theirs[a], theirs[b]] for a, b in pairs])
    x = np.array([4.0, 2.0, 2.0, 2.5, 3.5])
    assert game.costs.take(order).cost(x) == pytest.approx(mine.costs.cost(x), rel=1e-6)
    assert game.count.tolist() == mine.count.tolist()
