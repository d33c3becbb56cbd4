"""A decision process as a table of its moves: one row per state, action and next state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.errors import InvalidModelFile, unknown
from eqsolve.mdp import FiniteMDP
from eqsolve.modelfile.fields import Names, Numbers, Strict


class MovesPart(Strict):
    """``moves``: columns of equal length.

    ``state``, ``action`` and ``next`` are names, ``probability`` the chance of that next state (1 when the column is left out),
    ``reward`` what the move earns, averaged over the next states. States and actions are numbered as they first come.
    """

    state: Names
    action: Names
    next: Names
    probability: Numbers | None = None
    reward: Numbers

    def process(self, more: Mapping[str, Any]) -> FiniteMDP:
        """The process over sparse pairs.

        Raises
        ------
        InvalidModelFile : columns of different lengths, no rows, a next state that has no actions of its own.
        """
        n = len(self.state)
        columns = {"action": self.action, "next": self.next, "probability": self.probability, "reward": self.reward}
        for key, column in columns.items():
            if column is not None and (np.ndim(column) != 1 or len(column) != n):
                raise InvalidModelFile(f"moves.{key} has {np.size(column)} rows, moves.state has {n}")
        if not n:
            raise InvalidModelFile("moves has no rows")
        states = {label: s for s, label in enumerate(dict.fromkeys(self.state))}
        for k, label in enumerate(self.next):
            if label not in states:
                near = unknown("state", label, states).remedy
                stay = f"A state in which the process ends has one action, which leads back to it: {label},stay,{label},1,0."
                raise InvalidModelFile(f"row {k} of moves leads to the state {label!r}, which has no actions", f"{near}\n{stay}")
        given = list(dict.fromkeys(zip(self.state, self.action, strict=True)))
        pairs = sorted(given, key=lambda one: states[one[0]])
        number = {pair: k for k, pair in enumerate(pairs)}
        row = np.array([number[pair] for pair in zip(self.state, self.action, strict=True)])
        column = np.array([states[label] for label in self.next])
        chance = np.ones(n) if self.probability is None else self.probability
        shape = (len(pairs), len(states))
        return FiniteMDP(
            np.bincount([states[state] for state, _ in pairs], minlength=len(states)),
            sparse.csr_array((chance, (row, column)), shape=shape),
            np.bincount(row, weights=chance * self.reward, minlength=len(pairs)),
            states=tuple(states),
            actions=tuple(action for _, action in pairs),
            **more,
        )
