"""Road networks: nodes, and directed links between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, float_array, int_array, whole_number
from eqsolve.errors import InvalidGame


@dataclass(frozen=True, slots=True, eq=False)
class RoadNetwork:
    """Nodes 0 .. n_nodes - 1 and R directed links; parallel links are kept.

    Parameters
    ----------
    n_nodes : at least 1. tail, head : (R,) the nodes at which each link begins and ends.
    first_through : nodes below it are zones that trips begin and end at and may not pass through.
    position : (n_nodes, 2) for maps. names : of the nodes; numbers when left out.

    Raises
    ------
    InvalidGame : an end that does not exist, a link from a node to itself (the message names the link), shapes.
    """

    n_nodes: int
    tail: IntArray
    head: IntArray
    first_through: int = 0
    position: FloatArray | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = whole_number("n_nodes", self.n_nodes, 1, InvalidGame)
        tail = int_array("tail", self.tail, (None,), error=InvalidGame)
        head = int_array("head", self.head, (len(tail),), error=InvalidGame)
        names = tuple(map(str, self.names))
        if names and len(names) != n:
            raise InvalidGame(f"{len(names)} names of nodes, expected {n}")
        own: dict[str, Any] = {"n_nodes": n, "tail": tail, "head": head, "names": names}
        for name, value in own.items():
            object.__setattr__(self, name, value)
        for name, ends in (("tail", tail), ("head", head)):
            wrong = (ends < 0) | (ends >= n)
            if wrong.any():
                r = int(np.argmax(wrong))
                raise InvalidGame(f"{name}[{r}] is {ends[r]}; the nodes are 0 to {n - 1}")
        loop = tail == head
        if loop.any():
            r = int(np.argmax(loop))
            raise InvalidGame(
                f"link {r} leads from node {self.node_label(int(tail[r]))} to itself", f"{int(loop.sum())} of {len(tail)} links do."
            )
        object.__setattr__(self, "first_through", whole_number("first_through", self.first_through, 0, InvalidGame, most=n))
        if self.position is not None:
            object.__setattr__(self, "position", float_array("position", self.position, (n, 2), error=InvalidGame))

    @property
    def n_links(self) -> int:
        """Number of links R."""
        return len(self.tail)

    def node_label(self, node: int) -> str:
        """Name of a node."""
        return self.names[node] if self.names else str(node)

    def link_label(self, link: int) -> str:
        """The ends of a link, such as ``3-12``."""
        return f"{self.node_label(int(self.tail[link]))}-{self.node_label(int(self.head[link]))}"

    def route_label(self, links: IntArray) -> str:
        """The nodes along a route, such as ``1-3-12``."""
        if not len(links):
            return "nothing"
        nodes = [int(self.tail[links[0]]), *self.head[links].tolist()]
        return "-".join(self.node_label(node) for node in nodes)

    def without(self, links: IntArray) -> RoadNetwork:
        """The network without some links."""
        keep = np.setdiff1d(np.arange(self.n_links), links)
        return RoadNetwork(self.n_nodes, self.tail[keep], self.head[keep], self.first_through, self.position, self.names)
