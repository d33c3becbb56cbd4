"""A person's own road game: travellers from one table, travel times of parallel routes from another."""

from __future__ import annotations

import numpy as np

from eqsolve.aggregative import AggregativeGame, CurvePayoffs
from eqsolve.arrays import FloatArray, float_array, int_array
from eqsolve.errors import InvalidModelFile
from eqsolve.modelfile.fields import Names, Numbers, Strict


class RoutesPart(Strict):
    """``routes``: minutes (K, R), one column per route, tabulated over the load (K,) on a route.

    The table must reach from no load to all travellers on one route. ``labels`` names the R routes.
    """

    load: Numbers
    minutes: Numbers
    labels: Names = ()


class TravellersPart(Strict):
    """``travellers``: one row per player, or, with ``count``, per group of equal players.

    ``load`` is what one player adds to his route (trips), ``value_of_time`` the cost of one of his minutes,
    ``extra_minutes`` (rows, R) what each route takes him beyond its table, ``welfare`` (rows, R) the planner's weight of a
    player on a route (minus the cost of the minutes at no load when left out). A single number serves all rows.
    """

    count: Numbers | None = None
    value_of_time: Numbers | None = None
    load: Numbers | None = None
    extra_minutes: Numbers | None = None
    welfare: Numbers | None = None
    labels: Names = ()


def routes_game(routes: RoutesPart, travellers: TravellersPart, name: str) -> AggregativeGame:
    r"""The aggregative game whose aggregator is the load on each route.

    .. math:: u_{t r}(x) = -v_t\, (\text{minutes}_r(x_r) + \text{extra}_{t r})

    between the tabulated loads the minutes are linear. R coordinates, R actions for every row of travellers.
    """
    minutes: FloatArray = routes.minutes[:, None] if routes.minutes.ndim == 1 else routes.minutes
    minutes = float_array("routes.minutes", minutes, (routes.load.size, None), error=InvalidModelFile)
    R = minutes.shape[1]
    T = _rows(travellers)
    value = _per_row("travellers.value_of_time", travellers.value_of_time, 1.0, (T,))
    load = _per_row("travellers.load", travellers.load, 1.0, (T,))
    extra = _per_row("travellers.extra_minutes", travellers.extra_minutes, 0.0, (T, R))
    for what, array in (("value_of_time", value), ("load", load)):
        if array.min() < 0:
            t = int(np.argmin(array))
            raise InvalidModelFile(f"travellers.{what}[{t}] is {array[t]:g}; it is 0 or more")
    free = -value[:, None] * (extra + np.array([np.interp(0.0, routes.load, minutes[:, r]) for r in range(R)]))
    count = None if travellers.count is None else int_array("travellers.count", travellers.count, (T,), error=InvalidModelFile)
    labels = routes.labels or tuple(f"route {r}" for r in range(R))
    if len(labels) != R:
        raise InvalidModelFile(f"routes.labels names {len(labels)} routes, but routes.minutes has {R} columns")
    route = np.tile(np.arange(R), T)
    return AggregativeGame(
        n_actions=np.full(T, R),
        contribution=(load[:, None, None] * np.eye(R)).reshape(T * R, R),
        payoff=CurvePayoffs(routes.load, minutes.T, route, route, -np.repeat(value, R), (-value[:, None] * extra).reshape(-1), R),
        welfare=(free if travellers.welfare is None else _per_row("travellers.welfare", travellers.welfare, 0.0, (T, R))).reshape(
            -1
        ),
        count=count,
        name=name,
        coordinates=tuple(f"load of {label}" for label in labels),
        types=travellers.labels,
        actions=labels * T,
    )


def _rows(travellers: TravellersPart) -> int:
    """The number of rows, which all columns must agree on."""
    given = {
        "count": travellers.count,
        "value_of_time": travellers.value_of_time,
        "load": travellers.load,
        "extra_minutes": travellers.extra_minutes,
        "welfare": travellers.welfare,
    }
    lengths = {name: len(array) for name, array in given.items() if array is not None and array.ndim}
    if travellers.labels:
        lengths["labels"] = len(travellers.labels)
    if not lengths:
        raise InvalidModelFile("travellers has no column that says how many there are", "Give count, or one row per player.")
    first, rows = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != rows:
            raise InvalidModelFile(f"travellers.{name} has {length} rows, travellers.{first} has {rows}")
    if not rows:
        raise InvalidModelFile(f"travellers.{first} has no rows")
    return rows


def _per_row(name: str, given: FloatArray | None, otherwise: float, shape: tuple[int, ...]) -> FloatArray:
    array = float_array(name, otherwise if given is None else given, None)
    if array.ndim == 1 and len(shape) == 2 and len(array) == shape[1] != shape[0]:
        return np.tile(array, (shape[0], 1))
    return float_array(name, array, shape, error=InvalidModelFile)
