"""Functions of the state and of the actions of a few agents, of which rewards and transitions are sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, log10, prod
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray, float_array, frozen, whole_number
from eqsolve.errors import InvalidGame

LARGEST = 50_000_000
"""Most numbers that one table may hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A table over the states and the actions of some agents.

    Parameters
    ----------
    agents : the agents whose actions it depends on, in ascending order; none of them for a function of the state alone.
    table : (S, m_agents...) values in reward units; of a transition (S, m_agents..., S), the last axis being the next state.
    """

    agents: tuple[int, ...]
    table: FloatArray


def as_factors(
    what: str, given: Any, n_actions: tuple[int, ...], n_states: int | None, *, to_states: bool = False
) -> tuple[Factor, ...]:
    """The factors that a caller gave: one array over all agents, or a list of factors or of pairs (tuple of agents, table).

    Parameters
    ----------
    n_states : S; that of the first table when None. to_states : the tables have a last axis of next states.

    Raises
    ------
    InvalidGame : an agent that does not exist or is listed twice, a table of another shape or not finite, no factor at all.
    """
    if not is_listed(given):
        everybody = tuple(range(len(n_actions)))
        given = [(everybody, _over_everybody(what, given, n_actions, to_states))]
    found: list[Factor] = []
    for k, one in enumerate(given):
        name = what if len(given) == 1 else f"{what}[{k}]"
        agents, table = (one.agents, one.table) if isinstance(one, Factor) else one
        found.append(_factor(name, agents, table, n_actions, n_states, to_states))
        n_states = len(found[-1].table)
    if not found:
        raise InvalidGame(f"{what} is an empty list", "Give an array over all agents, or pairs (agents, table).")
    return tuple(found)


def expand(factors: Iterable[Factor], n_states: int, n_actions: tuple[int, ...]) -> FloatArray:
    """(S, m_1, ..., m_N) the sum of factors over all joint actions."""
    total = np.zeros((n_states, *n_actions))
    for one in factors:
        total += spread(one.table, one.agents, tuple(range(len(n_actions))))
    return frozen(total)


def spread(table: FloatArray, agents: tuple[int, ...], onto: tuple[int, ...]) -> FloatArray:
    """A table over (states, agents) as a view that broadcasts against one over (states, onto); further axes stay behind."""
    where = {agent: k + 1 for k, agent in enumerate(agents)}
    order = [where[one] for one in onto if one in where]
    rest = tuple(range(len(agents) + 1, table.ndim))
    moved = table.transpose((0, *order, *rest))
    sides = iter(moved.shape[1 : len(agents) + 1])
    shape = tuple(next(sides) if one in where else 1 for one in onto)
    return moved.reshape(moved.shape[0], *shape, *moved.shape[len(agents) + 1 :])


def sum_onto(table: FloatArray, agents: tuple[int, ...], kept: tuple[int, ...]) -> FloatArray:
    """A table over (states, agents) summed over the agents that are not kept; those kept stay in their order."""
    axes = tuple(k + 1 for k, one in enumerate(agents) if one not in kept)
    return np.asarray(table.sum(axis=axes)) if axes else table


def is_listed(given: Any) -> bool:
    """Whether a caller gave factors: ``Factor`` objects, or pairs of a tuple of agents and a table."""
    return isinstance(given, tuple | list) and all(
        isinstance(one, Factor) or (isinstance(one, tuple | list) and len(one) == 2 and isinstance(one[0], tuple)) for one in given
    )


def in_words(number: int) -> str:
    """A whole number of any size: in full below 10^15, otherwise by its first two digits and its power of ten."""
    if number < 10**15:
        return f"{number:,}"
    power = floor(log10(number))
    digits = f"{10.0 ** (log10(number) - power):.1f}"
    return f"1.0e+{power + 1}" if digits == "10.0" else f"{digits}e+{power}"


def _over_everybody(what: str, given: Any, n_actions: tuple[int, ...], to_states: bool) -> FloatArray:
    """An array (S, m_1, ..., m_N) or (S, A), with a last axis S for transitions."""
    joint = prod(n_actions)
    try:
        array = float_array(what, given, error=InvalidGame)
    except InvalidGame as error:
        pairs = "Give an array over all agents, or pairs (agents, table) whose agents are a tuple."
        raise InvalidGame(error.what, error.remedy or pairs) from error
    tail = 1 if to_states else 0
    if array.ndim == 2 + tail and len(n_actions) != 1 and array.shape[1] == joint:
        return array.reshape(array.shape[0], *n_actions, *array.shape[2:])
    return array


def _factor(name: str, agents: Any, table: Any, n_actions: tuple[int, ...], n_states: int | None, to_states: bool) -> Factor:
    N = len(n_actions)
    if isinstance(agents, str) or not isinstance(agents, Iterable):
        raise InvalidGame(f"the agents of {name} are {agents!r}, not a tuple of agents")
    listed = tuple(whole_number(f"an agent of {name}", one, 0, InvalidGame, most=N - 1) for one in agents)
    for one in listed:
        if listed.count(one) > 1:
            raise InvalidGame(f"{name} lists agent {one} twice")
    sides = tuple(n_actions[one] for one in listed)
    if n_states is None:
        first = float_array(name, table, error=InvalidGame)
        if not first.ndim:
            raise InvalidGame(f"{name} is {float(first):g}, not a table whose first axis is the states")
        n_states = len(first)
    shape = (n_states, *sides, *((n_states,) if to_states else ()))
    if prod(shape) > LARGEST:
        raise InvalidGame(
            f"{name} would hold {in_words(prod(shape))} numbers", f"At most {LARGEST:,} are held; give factors over fewer agents."
        )
    array = float_array(name, table, shape, error=InvalidGame)
    order = tuple(sorted(range(len(listed)), key=lambda k: listed[k]))
    if order == tuple(range(len(listed))):
        return Factor(listed, array)
    axes = (0, *(k + 1 for k in order), *((array.ndim - 1,) if to_states else ()))
    return Factor(tuple(sorted(listed)), frozen(np.ascontiguousarray(array.transpose(axes))))
