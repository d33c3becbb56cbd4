"""Road networks in the TNTP format of "Transportation Networks for Research": net, trips, node and flow files."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from pathlib import Path

import numpy as np

from eqsolve.aggregative.congestion_games.costs import BPRCosts, Costs, TolledCosts
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidModelFile
from eqsolve.files import read_bytes

COLUMNS = ("init_node", "term_node", "capacity", "length", "free_flow_time", "b", "power", "speed", "toll", "link_type")
END = "END OF METADATA"
_TAG = re.compile(r"<([^<>]*)>\s*(.*)")
_TOTAL = 1e-6
"""How far trips may be from the stated total, relative to it, beside the rounding of its last digit."""
MOST_NODES, MOST_ZONES = 10_000_000, 10_000
"""Numbers of metadata beyond which a file is not believed: the nodes get names, the trips a square table."""


@dataclass(frozen=True, slots=True, eq=False)
class Roads:
    """What a net file holds.

    Parameters
    ----------
    network : nodes named by their numbers in the file, from 1. costs : travel times, with tolls and lengths at their factors.
    n_zones : zones are the first nodes. capacity, length, speed, toll : (R,) in the units of the file. link_type : (R,).
    """

    network: RoadNetwork
    costs: Costs
    n_zones: int
    capacity: FloatArray
    length: FloatArray
    speed: FloatArray
    toll: FloatArray
    link_type: IntArray


def read_net(path: str | Path, toll_factor: float | None = None, distance_factor: float | None = None) -> Roads:
    """The roads of a net file, with travel times free_flow_time (1 + b (flow / capacity)^power).

    Parameters
    ----------
    toll_factor, distance_factor : time per unit of toll and of length that is added to the travel time; those that the file
        states, or 0, when left out.

    Raises
    ------
    InvalidModelFile : metadata that are missing or do not match, a malformed or missing row, an end that does not exist, a link
        from a node to itself, a number out of range; the message names file and line. FileTrouble : it cannot be read.
    """
    file = _File(path)
    meta = file.metadata()
    n_nodes, n_links = file.whole("NUMBER OF NODES", meta, 1, MOST_NODES), file.whole("NUMBER OF LINKS", meta, 1)
    n_zones = file.whole("NUMBER OF ZONES", meta, 1, n_nodes)
    through = file.whole("FIRST THRU NODE", meta, 1, n_nodes + 1) if "FIRST THRU NODE" in meta else 1
    rows: list[list[float]] = []
    for line, text in file.rest():
        if len(rows) == n_links:
            raise file.wrong(line, f"there are more than the {n_links} links that <NUMBER OF LINKS> announces")
        rows.append(_link(file, line, file.row(line, text, COLUMNS, ended=True), n_nodes))
    if len(rows) < n_links:
        raise file.wrong(
            file.last, f"the file ends after {len(rows)} links; <NUMBER OF LINKS> announces {n_links}", "It may be truncated."
        )
    table = np.array(rows)
    tail, head = table[:, 0].astype(np.int64) - 1, table[:, 1].astype(np.int64) - 1
    names = tuple(str(k + 1) for k in range(n_nodes))
    network = RoadNetwork(n_nodes, tail, head, through - 1, None, names)
    capacity, length, free_flow, b, power, speed, toll, kind = table[:, 2:].T
    costs: Costs = BPRCosts(free_flow, b, capacity, power)
    extra = file.factor("TOLL FACTOR", meta, toll_factor) * toll + file.factor("DISTANCE FACTOR", meta, distance_factor) * length
    if extra.any():
        costs = TolledCosts(costs, extra)
    return Roads(network, costs, n_zones, capacity, length, speed, toll, kind.astype(np.int64))


def read_trips(path: str | Path, n_zones: int | None = None) -> FloatArray:
    """The trips (Z, Z) of a trips file, from origins (rows) to destinations.

    Parameters
    ----------
    n_zones : Z, which the file must announce too; whatever it announces when left out.

    Raises
    ------
    InvalidModelFile : metadata that are missing or do not match, a malformed line, a zone that does not exist, a pair given twice,
        a negative number, a total that is not the stated one; the message names file and line. FileTrouble : it cannot be read.
    """
    file = _File(path)
    meta = file.metadata()
    Z = file.whole("NUMBER OF ZONES", meta, 1, MOST_ZONES)
    if n_zones is not None and n_zones != Z:
        line = meta["NUMBER OF ZONES"][0]
        raise file.wrong(line, f"<NUMBER OF ZONES> is {Z}; the network has {n_zones}", "Are net and trips of the same place?")
    trips = np.full((Z, Z), np.nan)
    origin = -1
    for line, text in file.rest():
        words = text.split()
        if words[0].lower() == "origin":
            if len(words) != 2:
                raise file.wrong(line, f"{text!r} is not 'Origin' and a zone")
            origin = _zone(file, line, words[1], Z)
            continue
        if origin < 0:
            raise file.wrong(line, f"{text!r} comes before any 'Origin'")
        *entries, left = text.split(";")
        if left.strip():
            raise file.wrong(line, f"{left.strip()!r} does not end with ';'", "The line may be truncated.")
        for entry in entries:
            place, colon, number = entry.partition(":")
            if not colon:
                raise file.wrong(line, f"{entry.strip()!r} is not 'destination : trips'")
            destination, value = _zone(file, line, place.strip(), Z), file.number(line, "trips", number.strip())
            if value < 0:
                raise file.wrong(line, f"the trips from {origin + 1} to {destination + 1} are {value:g}, not 0 or more")
            if not np.isnan(trips[origin, destination]):
                raise file.wrong(line, f"the trips from {origin + 1} to {destination + 1} are given twice")
            trips[origin, destination] = value
    trips[np.isnan(trips)] = 0.0
    if "TOTAL OD FLOW" in meta:
        line, stated = meta["TOTAL OD FLOW"]
        total, found = file.number(line, "<TOTAL OD FLOW>", stated), float(trips.sum())
        digits = Decimal(stated).as_tuple().exponent
        rounding = 0.5 * 10.0**digits if isinstance(digits, int) else 0.0
        if abs(found - total) > _TOTAL * abs(total) + rounding:
            raise file.wrong(line, f"<TOTAL OD FLOW> is {total:.12g}, and the trips add up to {found:.12g}", "It may be truncated.")
    return trips


def read_nodes(path: str | Path, n_nodes: int) -> FloatArray:
    """The positions (n_nodes, 2) of a node file, whose rows may come in any order.

    Raises
    ------
    InvalidModelFile : a malformed row, a node that does not exist, is given twice or is missing; the message names file and line.
        FileTrouble : it cannot be read.
    """
    file = _File(path)
    position = np.full((n_nodes, 2), np.nan)
    for line, text in file.rest():
        if text.split()[0].lower() == "node":
            continue
        node, *at = file.row(line, text, ("node", "x", "y"), ended=False)
        k = file.node(line, "node", node, n_nodes)
        if not np.isnan(position[k, 0]):
            raise file.wrong(line, f"node {k + 1} is given twice")
        position[k] = at
    if np.isnan(position).any():
        raise file.wrong(file.last, f"node {int(np.argmax(np.isnan(position[:, 0]))) + 1} is missing", "It may be truncated.")
    return position


def read_flow(path: str | Path, network: RoadNetwork) -> tuple[FloatArray, FloatArray]:
    """The flows (R,) and costs (R,) of a flow file, in the order of the network's links; parallel links in the order of the file.

    Raises
    ------
    InvalidModelFile : a malformed row, a link that does not exist or is missing; the message names file and line. FileTrouble : it
        cannot be read.
    """
    file = _File(path)
    left: defaultdict[tuple[int, int], deque[int]] = defaultdict(deque)
    for r, ends in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
        left[ends].append(r)
    found = np.full((2, network.n_links), np.nan)
    for line, text in file.rest():
        if text.split()[0].lower() in ("from", "tail") or text.startswith("<"):
            continue
        tail, head, *values = file.row(line, text.replace(":", " "), ("from", "to", "volume", "cost"), ended=False)
        ends = file.node(line, "from", tail, network.n_nodes), file.node(line, "to", head, network.n_nodes)
        if not left[ends]:
            raise file.wrong(line, f"the network has no link, or no further one, from {ends[0] + 1} to {ends[1] + 1}")
        found[:, left[ends].popleft()] = values
    missing = np.isnan(found[0])
    if missing.any():
        label = network.link_label(int(np.argmax(missing)))
        raise file.wrong(file.last, f"{int(missing.sum())} links are missing, link {label} the first", "It may be truncated.")
    return found[0], found[1]


def read_game(net: str | Path, trips: str | Path, nodes: str | Path | None = None, name: str | None = None) -> CongestionGame:
    """The game of a net file and a trips file, with the positions of a node file if there is one.

    Raises
    ------
    InvalidModelFile, FileTrouble : as the readers of the files. InvalidGame : a pair that no road connects, no trips at all.
    """
    roads = read_net(net)
    demand = read_trips(trips, roads.n_zones)
    network = roads.network
    if nodes is not None:
        position = read_nodes(nodes, network.n_nodes)
        network = RoadNetwork(network.n_nodes, network.tail, network.head, network.first_through, position, network.names)
    return CongestionGame.from_trips(network, roads.costs, demand, name=name or Path(net).stem.removesuffix("_net"))


class _File:
    """The lines of a file without comments and empty ones, and what is wrong with them."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            text = read_bytes(self.path).decode("utf-8-sig")
        except UnicodeDecodeError as cause:
            raise InvalidModelFile(f"{self.path}: not a text file in UTF-8: {cause}") from cause
        lines = text.splitlines()
        self.last = max(1, len(lines))
        bare = ((k, line.partition("~")[0].strip()) for k, line in enumerate(lines, 1))
        self._lines = deque((k, line) for k, line in bare if line)

    def wrong(self, line: int, what: str, remedy: str = "") -> InvalidModelFile:
        """The error for a line."""
        return InvalidModelFile(f"{self.path}:{line}: {what}", remedy)

    def metadata(self) -> dict[str, tuple[int, str]]:
        """Line and value of each tag, up to the end of the metadata."""
        found: dict[str, tuple[int, str]] = {}
        while self._lines:
            line, text = self._lines.popleft()
            match = _TAG.fullmatch(text)
            if match is None:
                raise self.wrong(line, f"{text!r} is not a line of metadata", f"Metadata end with <{END}>.")
            name = " ".join(match[1].split()).upper()
            if name == END:
                return found
            if name in found:
                raise self.wrong(line, f"<{name}> is given twice")
            found[name] = line, match[2].strip()
        raise self.wrong(self.last, f"the file ends before <{END}>", "It may be truncated.")

    def rest(self) -> deque[tuple[int, str]]:
        """Number and text of the lines that are left."""
        return self._lines

    def whole(self, name: str, meta: dict[str, tuple[int, str]], least: int, most: int | None = None) -> int:
        """A whole number among the metadata."""
        if name not in meta:
            raise self.wrong(1, f"<{name}> is missing from the metadata")
        line, text = meta[name]
        value = int(text) if text.isdecimal() else None
        if value is None or value < least or (most is not None and value > most):
            raise self.wrong(line, f"<{name}> is {text!r}", f"A whole number from {least} on" + (f" to {most}." if most else "."))
        return value

    def factor(self, name: str, meta: dict[str, tuple[int, str]], given: float | None) -> float:
        """A factor among the metadata, unless it is given."""
        if given is not None:
            return given
        return self.number(meta[name][0], f"<{name}>", meta[name][1]) if meta.get(name, (0, ""))[1] else 0.0

    def number(self, line: int, name: str, text: str) -> float:
        """A finite number."""
        try:
            value = float(text)
        except ValueError:
            raise self.wrong(line, f"{name} is {text!r}, not a number") from None
        if not isfinite(value):
            raise self.wrong(line, f"{name} is {text}, not a finite number")
        return value

    def row(self, line: int, text: str, columns: tuple[str, ...], *, ended: bool) -> list[float]:
        """The numbers of a row, which ends with ';' or, unless ``ended``, may do without."""
        if ended and not text.endswith(";"):
            raise self.wrong(line, f"the row does not end with ';': {text!r}", "The line may be truncated.")
        words = text.rstrip("; \t").split()
        if len(words) != len(columns):
            raise self.wrong(line, f"the row has {len(words)} entries, expected {len(columns)}: {', '.join(columns)}")
        return [self.number(line, name, word) for name, word in zip(columns, words, strict=True)]

    def node(self, line: int, name: str, value: float, n_nodes: int) -> int:
        """The index of a node."""
        if not value.is_integer() or not 1 <= value <= n_nodes:
            raise self.wrong(line, f"{name} is {value:g}; the nodes are 1 to {n_nodes}")
        return int(value) - 1


def _zone(file: _File, line: int, text: str, n_zones: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= n_zones:
        raise file.wrong(line, f"{text!r} is not a zone; the zones are 1 to {n_zones}")
    return int(text) - 1


def _link(file: _File, line: int, values: list[float], n_nodes: int) -> list[float]:
    """A row of a net file, checked."""
    named = dict(zip(COLUMNS, values, strict=True))
    tail, head = (file.node(line, name, named[name], n_nodes) for name in COLUMNS[:2])
    if tail == head:
        raise file.wrong(line, f"the link leads from node {tail + 1} to itself")
    for name in ("capacity", "length", "free_flow_time", "b", "power"):
        if named[name] < 0:
            raise file.wrong(line, f"{name} is {named[name]:g}, not 0 or more")
    if named["capacity"] == 0 and named["b"] > 0:
        raise file.wrong(line, "capacity is 0, not above 0")
    if 0 < named["power"] < 1:
        raise file.wrong(line, f"power is {named['power']:g}, not 0 and not 1 or more")
    if not named["link_type"].is_integer():
        raise file.wrong(line, f"link_type is {named['link_type']:g}, not a whole number")
    return values
