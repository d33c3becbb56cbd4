"""Parameters that several algorithms take."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

import numpy as np

from eqsolve.bayesian_network.network import BayesianNetwork, Edges, InvalidNetwork, as_network
from eqsolve.errors import InvalidData

AGENTS = 1_000_000
"""Agents of the largest game that edges are for."""


def network_parameter(given: Any) -> str | Edges:
    """A network as the plain value that a model file holds: a name, or edges.

    Raises
    ------
    UnknownName : another name. InvalidNetwork : something that is neither, a cycle.
    """
    if isinstance(given, BayesianNetwork):
        return given.edges
    if isinstance(given, str) or not isinstance(given, Iterable):
        as_network(given, 1)
        return str(given)
    edges = [tuple(edge) if isinstance(edge, Iterable) else edge for edge in given]
    named = [one for edge in edges if isinstance(edge, tuple) for one in edge if isinstance(one, int | float | np.integer)]
    largest = max((0, *(int(one) for one in named if isfinite(one))))
    if largest >= AGENTS:
        raise InvalidNetwork(f"an edge names agent {largest}", f"Games have at most {AGENTS:,} agents.")
    return as_network(edges, 1 + largest).edges


def truth_value(name: str, value: Any) -> bool:
    """A parameter that is True or False.

    Raises
    ------
    InvalidData : neither.
    """
    if isinstance(value, bool):
        return value
    raise InvalidData(f"{name} is {value!r}, not True or False")
