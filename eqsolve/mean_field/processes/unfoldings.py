"""How a macro step is unfolded into micro steps: by replicas (Algorithm 8) or by local states (Algorithm 9)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eqsolve.arrays import BoolArray, FloatArray, IntArray
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.operators.zones import moves
from eqsolve.mean_field.processes.chains import Branches
from eqsolve.mean_field.processes.surrogate import surrogate_law


@dataclass(frozen=True, eq=False)
class Form(ABC):
    """What the two unfoldings share: ``world`` (G, N_k, G) and ``paid`` (G, N_k) are kernel and reward of the global policy."""

    game: GlobalLocalGame
    k: int
    world: FloatArray
    paid: FloatArray
    team: bool
    hide_pending: bool

    @property
    @abstractmethod
    def groups(self) -> int:
        """How many groups choose in a macro step."""

    @property
    @abstractmethod
    def radices(self) -> tuple[int, ...]:
        """One more than the largest entry of each column of a state."""

    @abstractmethod
    def start(self) -> tuple[IntArray, FloatArray]:
        """First states and their law."""

    @property
    def steps(self) -> int:
        """Micro steps."""
        return self.groups * (2 if self.hide_pending else 1)

    @property
    @abstractmethod
    def memory(self) -> int:
        """The column from which on the hidden form remembers actions; one of A_l stands for none."""

    @abstractmethod
    def acting(self, group: int, states: IntArray) -> tuple[IntArray, IntArray]:
        """(M,) the local state of those who act, and how many they are."""

    @abstractmethod
    def histogram(self, states: IntArray) -> IntArray:
        """(M,) the place of the histogram that the global agent sees."""

    @abstractmethod
    def moved(self, group: int, states: IntArray, action: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """All ways in which a group moves: the row of ``states`` (P, columns), the next state, its probability."""

    def branches(self, step: int, states: IntArray) -> Branches:
        """All ways on."""
        group, choosing = step % self.groups, step < self.groups
        world = states[:, 0]
        zone, agents = self.acting(group, states)
        if choosing:
            owner, action = np.nonzero(self._actions(zone, agents))
            reward = self._reward(group, states, zone, agents)[owner, action]
        else:
            owner, action = np.arange(len(states)), states[:, self.memory + group]
            reward, agents = np.zeros(len(states)), np.zeros(len(states), dtype=np.int64)
        if choosing and self.hide_pending:
            following = states[owner]
            following[:, self.memory + group] = action
            row, probability = np.arange(len(owner)), np.ones(len(owner))
        else:
            row, following, probability = self.moved(group, states[owner], action)
            if self.hide_pending:
                following[:, self.memory + group] = self.game.n_local_actions
        return Branches(owner, action, reward, row, following, probability, zone, world, agents)

    def _actions(self, zone: IntArray, agents: IntArray) -> BoolArray:
        available = self.game.local_available
        only = np.zeros_like(available)
        only[np.arange(len(available)), np.argmax(available, axis=1)] = True
        return np.asarray(np.where((agents > 0)[:, None], available[zone], only[zone]))

    def _reward(self, group: int, states: IntArray, zone: IntArray, agents: IntArray) -> FloatArray:
        """(M, A_l)."""
        own = self.game.local_reward[zone, states[:, 0]]
        if not self.team:
            return own / self.game.n if group == 0 else np.zeros_like(own)
        share = own * (agents / self.k)[:, None]
        return share + self.paid[states[:, 0], self.histogram(states)][:, None] if group == 0 else share

    def _first_move(self, states: IntArray, local: FloatArray) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
        """The pending global state drawn together with an agent's next state: row, global state, local state, probability."""
        joint = self.world[states[:, 0], self.histogram(states)][:, :, None] * local[:, None, :]
        row, world, zone = np.nonzero(joint)
        return row, world, zone, joint[row, world, zone]


class Replicas(Form):
    """Algorithm 8: columns s_g, pending (G for none), s_1 ... s_k, and the actions that are remembered."""

    @property
    def groups(self) -> int:
        """k."""
        return self.k

    @property
    def memory(self) -> int:
        """After the replicas."""
        return 2 + self.k

    @property
    def radices(self) -> tuple[int, ...]:
        """Of s_g, the pending one, the replicas and the actions."""
        G, remembered = self.game.n_global_states, self.k if self.hide_pending else 0
        return (G, G + 1) + (self.game.n_local_states,) * self.k + (self.game.n_local_actions + 1,) * remembered

    def start(self) -> tuple[IntArray, FloatArray]:
        """All tuples that can occur."""
        G, Z, k = self.game.n_global_states, self.game.n_local_states, self.k
        grid = np.indices((G, *(Z,) * k)).reshape(1 + k, -1).T
        states = np.full((len(grid), len(self.radices)), self.game.n_local_actions, dtype=np.int64)
        states[:, 0], states[:, 1], states[:, 2 : 2 + k] = grid[:, 0], G, grid[:, 1:]
        place = self.histogram(states)
        law = (surrogate_law(self.game, k) / np.bincount(place, minlength=size(k, Z)) * G)[states[:, 0], place]
        return states[law > 0], law[law > 0]

    def acting(self, group: int, states: IntArray) -> tuple[IntArray, IntArray]:
        """The state of one replica."""
        return states[:, 2 + group], np.ones(len(states), dtype=np.int64)

    def histogram(self, states: IntArray) -> IntArray:
        """Of all replicas."""
        Z = self.game.n_local_states
        replicas = states[:, 2 : 2 + self.k]
        return Histograms(self.k, Z).rank((replicas[:, :, None] == np.arange(Z)).sum(axis=1))

    def moved(self, group: int, states: IntArray, action: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """One replica moves; the last one ends the macro step."""
        local = self.game.local_kernel[states[:, 2 + group], states[:, 0], action]
        if group == 0:
            row, world, zone, probability = self._first_move(states, local)
        else:
            row, zone = np.nonzero(local)
            world, probability = states[row, 1], local[row, zone]
        following = states[row]
        following[:, 1], following[:, 2 + group] = world, zone
        if group == self.k - 1:
            following[:, 0], following[:, 1] = world, self.game.n_global_states
        return row, following, probability


class States(Form):
    """Algorithm 9: columns s_g, pending, tagged, its pending state (Z for none), F (Z), cached F (Z), and remembered actions."""

    @property
    def groups(self) -> int:
        """The tagged agent, and the states."""
        return self.game.n_local_states + 1

    @property
    def memory(self) -> int:
        """After both histograms."""
        return 4 + 2 * self.game.n_local_states

    @property
    def radices(self) -> tuple[int, ...]:
        """Of s_g, tagged and pending ones, both histograms and the actions."""
        G, Z = self.game.n_global_states, self.game.n_local_states
        remembered = self.groups if self.hide_pending else 0
        return (G, G + 1, Z, Z + 1) + (self.k,) * (2 * Z) + (self.game.n_local_actions + 1,) * remembered

    @cached_property
    def laws(self) -> tuple[FloatArray, ...]:
        """By number c of agents: (Z, G, A_l, N_c) the law of where they go."""
        return tuple(moves(self.game.local_kernel[..., None, :], c)[..., 0, :] for c in range(self.k))

    def start(self) -> tuple[IntArray, FloatArray]:
        """All tagged agents and histograms of the others that can occur."""
        G, Z, others = self.game.n_global_states, self.game.n_local_states, Histograms(self.k - 1, self.game.n_local_states)
        world, tagged, place = (index.reshape(-1) for index in np.indices((G, Z, others.size)))
        states = np.full((len(world), len(self.radices)), self.game.n_local_actions, dtype=np.int64)
        states[:, 0], states[:, 1], states[:, 2], states[:, 3] = world, G, tagged, Z
        states[:, 4 : 4 + Z], states[:, 4 + Z : 4 + 2 * Z] = others.table[place], 0
        share = (states[np.arange(len(states)), 4 + tagged] + 1) / self.k
        law = surrogate_law(self.game, self.k)[world, self.histogram(states)] * share
        return states[law > 0], law[law > 0]

    def acting(self, group: int, states: IntArray) -> tuple[IntArray, IntArray]:
        """The state of the tagged agent, or the one whose turn it is."""
        if group == 0:
            return states[:, 2], np.ones(len(states), dtype=np.int64)
        return np.full(len(states), group - 1), states[:, 3 + group]

    def histogram(self, states: IntArray) -> IntArray:
        """Of the tagged agent and the others."""
        Z = self.game.n_local_states
        return Histograms(self.k, Z).rank(states[:, 4 : 4 + Z] + (states[:, 2, None] == np.arange(Z)))

    def moved(self, group: int, states: IntArray, action: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """The tagged agent moves, or all others in one state do."""
        if group == 0:
            local = self.game.local_kernel[states[:, 2], states[:, 0], action]
            row, world, zone, probability = self._first_move(states, local)
            following = states[row]
            following[:, 1], following[:, 3] = world, zone
            if self.hide_pending:
                following[:, 2] = 0
            return row, following, probability
        return self._state_moved(group, states, action)

    def _state_moved(self, group: int, states: IntArray, action: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        G, Z = self.game.n_global_states, self.game.n_local_states
        agents = states[:, 3 + group]
        rows, arrived, chances = [], [], []
        for c in range(self.k):
            at = np.flatnonzero(agents == c)
            law = self.laws[c][group - 1, states[at, 0], action[at]]
            row, place = np.nonzero(law)
            rows.append(at[row])
            arrived.append(Histograms(c, Z).table[place])
            chances.append(law[row, place])
        row, probability = np.concatenate(rows), np.concatenate(chances)
        following = states[row]
        following[:, 4 + Z : 4 + 2 * Z] += np.concatenate(arrived)
        if self.hide_pending:
            following[:, 3 + group] = 0
        if group == Z:
            following[:, 0], following[:, 1] = following[:, 1], G
            following[:, 2], following[:, 3] = following[:, 3], Z
            following[:, 4 : 4 + Z], following[:, 4 + Z : 4 + 2 * Z] = following[:, 4 + Z : 4 + 2 * Z].copy(), 0
        return row, following, probability
