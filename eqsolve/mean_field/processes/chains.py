"""Macro steps unfolded into chains of micro steps in which one group of agents acts at a time, as finite decision processes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray, frozen, whole_number
from eqsolve.errors import InvalidData, unknown
from eqsolve.mdp import FiniteMDP, visitation
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.operators.linear import settle

Rule = Literal["average", "likeliest"]
RULES: tuple[Rule, ...] = ("average", "likeliest")
RARE = 1e-12
"""Share of all visits that may be rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Branches:
    """The ways on from M states at one micro step.

    Parameters
    ----------
    action : (P,) the action of each of the P pairs, state by state. owner : (P,) the state, 0 to M - 1. reward : (P,).
    pair, target, probability : (T,) transitions: from a pair to a state, given as a row of ``states``. states : (T, columns).
    zone, world, agents : (M,) the local state of those who act, that of the global agent, how many act.
    """

    owner: IntArray
    action: IntArray
    reward: FloatArray
    pair: IntArray
    states: IntArray
    probability: FloatArray
    zone: IntArray
    world: IntArray
    agents: IntArray


class Unfolding(Protocol):
    """How a macro step is unfolded: ``steps`` micro steps over states that are rows of whole numbers below ``radices``."""

    @property
    def steps(self) -> int:
        """L, micro steps per macro step."""
        ...

    @property
    def radices(self) -> tuple[int, ...]:
        """One more than the largest entry of each column."""
        ...

    def start(self) -> tuple[IntArray, FloatArray]:
        """First states (M, columns) and their law (M,), all probabilities positive."""
        ...

    def branches(self, step: int, states: IntArray) -> Branches:
        """All ways on from states (M, columns) at a micro step."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    r"""A process whose macro steps are chains of L micro steps, with the macro-step discount kept exactly.

    Every chain has the same length, so that the discount of a micro step can be :math:`\gamma^{1/L}`: a reward at micro step j of a
    chain (0 to L - 1) is multiplied by :math:`\gamma^{-j/L}`, and what macro step t pays counts :math:`\gamma^t` in all.

    Parameters
    ----------
    game : whose local agents act. mdp : the process; only states that can be reached from the initial law are in it.
    steps : L. stage : (S,) the micro step of each state.
    zone, world, agents : (S,) the local state of the agents who act in it, that of the global agent, and how many act.
    action : (K,) the local action of each pair.
    """

    game: GlobalLocalGame
    mdp: FiniteMDP
    steps: int
    stage: IntArray
    zone: IntArray
    world: IntArray
    agents: IntArray
    action: IntArray

    @property
    def growth(self) -> FloatArray:
        r"""(S,) :math:`\gamma^{-j/L}`: the value of a state is so many times what it earns in macro discounting."""
        return np.asarray(self.game.gamma ** (-self.stage / self.steps))

    def episodic(self, horizon: int) -> FiniteMDP:
        r"""The chain cut after ``horizon`` macro steps, undiscounted, with rewards :math:`\gamma^{\lfloor \tau / L \rfloor} r`.

        This is the form in which the paper states the chains, and what an episodic learner takes.

        Raises
        ------
        InvalidData : a horizon below 1.
        """
        H = whole_number("horizon", horizon, 1)
        paid = self.mdp.reward / np.repeat(self.growth, self.mdp.n_actions)
        weights = np.repeat(self.game.gamma ** np.arange(H), self.steps)
        return FiniteMDP(
            self.mdp.n_actions,
            self.mdp.kernel(),
            weights[:, None] * paid,
            horizon=H * self.steps,
            initial=self.mdp.initial,
            name=f"{self.mdp.name}, {H} macro steps",
        )

    def visits(self, policy: npt.ArrayLike) -> FloatArray:
        r"""(K,) expected visits of every pair, :math:`\gamma^t` in macro step t: 1 / (1 - gamma) in all for each micro step.

        Parameters
        ----------
        policy : (K,) of ``mdp``; or (H L, K) of ``episodic(H)``, whose visits end after H macro steps.

        Notes
        -----
        Visits of the first micro step solve :math:`d = \mu + \gamma P_L^\top \cdots P_1^\top d`; the others follow from them.
        """
        if np.ndim(policy) == 2:
            cut = self.episodic(max(1, len(np.asarray(policy)) // self.steps))
            weights = np.repeat(self.game.gamma ** np.arange(cut.n_steps // self.steps), self.steps)
            return np.asarray(np.einsum("h,hk->k", weights, visitation(cut, policy, normalised=False)))
        pi = self.mdp.check_policy(policy)
        played = sparse.csr_array((pi, np.arange(self.mdp.n_pairs), self.mdp.first), shape=(self.mdp.n_states, self.mdp.n_pairs))
        kernel = sparse.csr_array(played @ self.mdp.kernel())
        ends = np.searchsorted(self.stage, np.arange(self.steps + 1))
        own = [slice(a, b) for a, b in pairwise(ends)]
        forward = [kernel[own[j], own[(j + 1) % self.steps]].T.tocsr() for j in range(self.steps)]
        gamma, first = self.game.gamma, np.asarray(self.mdp.initial[own[0]])

        def sweep(visits: FloatArray) -> FloatArray:
            for step in forward:
                visits = step @ visits
            return first + gamma * visits

        def over(visits: FloatArray, change: FloatArray) -> bool:
            return gamma * float(np.abs(change).sum()) <= 0.1 * RARE

        found = [settle(sweep, first / (1.0 - gamma), over, lambda change: float(np.abs(change).sum()))]
        for step in forward[:-1]:
            found.append(step @ found[-1])
        return np.maximum(np.repeat(np.concatenate(found), self.mdp.n_actions) * pi, 0.0)

    def weights(self, policy: npt.ArrayLike) -> FloatArray:
        r"""(G, Z, A_l) discounted expected number of agents in state z that take an action while the global state is g."""
        owner = self.mdp.owner
        total = np.zeros((self.game.n_global_states, self.game.n_local_states, self.game.n_local_actions))
        np.add.at(total, (self.world[owner], self.zone[owner], self.action), self.visits(policy) * self.agents[owner])
        return total

    def project(self, policy: npt.ArrayLike, rule: Rule = "average") -> FloatArray:
        r"""A shared local policy :math:`\pi_l(a \mid z, s_g)` made of a policy of the chain.

        A policy of the chain sees all replicas, which a local agent does not: no shared policy need have its value. Among the
        agents who act in state z while the global state is g, weighted by their discounted expected number, ``"average"`` takes
        the share that plays each action, ``"likeliest"`` the first action of the largest share. Pairs (z, g) that never occur
        get all available actions equally.

        Parameters
        ----------
        policy : (K,) of ``mdp``; or (H L, K) of ``episodic(H)``.

        Returns
        -------
        (G, Z, A_l) probabilities.

        Raises
        ------
        InvalidMDP : not a policy of the chain. UnknownName : an unknown rule.
        """
        if rule not in RULES:
            raise unknown("rule", rule, RULES)
        total = self.weights(policy)
        seen = total.sum(axis=2, keepdims=True)
        met = seen > RARE * total.sum()
        share = np.where(met, total / np.where(met, seen, 1.0), self.game.uniform_local())
        if rule == "average":
            return share
        best = np.eye(share.shape[2])[np.argmax(share, axis=2)]
        return np.where(met, best, share)


def unfold(game: GlobalLocalGame, form: Unfolding, name: str) -> Chain:
    """The chain of an unfolding: its reachable states, and its process.

    Raises
    ------
    InvalidData : the states have too many columns to be numbered.
    """
    if prod(form.radices) >= 2**62:
        raise InvalidData(f"the states of {name} are too long to be numbered", "Take a smaller k.")
    start, law = form.start()
    known = _reachable(form, start)
    first = np.concatenate(([0], np.cumsum([len(codes) for codes in known])))
    S = int(first[-1])
    parts = [form.branches(j, _decoded(codes, form.radices)) for j, codes in enumerate(known)]
    counts = [np.bincount(part.owner, minlength=len(codes)) for part, codes in zip(parts, known, strict=True)]
    rows, columns, pairs = [], [], 0
    for j, part in enumerate(parts):
        following = (j + 1) % form.steps
        rows.append(part.pair + pairs)
        columns.append(first[following] + np.searchsorted(known[following], _encoded(part.states, form.radices)))
        pairs += len(part.owner)
    probability = np.concatenate([part.probability for part in parts])
    kernel = sparse.coo_array((probability, (np.concatenate(rows), np.concatenate(columns))), shape=(pairs, S)).tocsr()
    initial = np.zeros(S)
    initial[np.searchsorted(known[0], _encoded(start, form.radices))] = law
    stage = np.repeat(np.arange(form.steps), np.diff(first))
    n_actions = np.concatenate(counts)
    growth = game.gamma ** (-np.repeat(stage, n_actions) / form.steps)
    reward = np.concatenate([part.reward for part in parts]) * growth
    mdp = FiniteMDP(n_actions, kernel, reward, game.gamma ** (1.0 / form.steps), initial=initial, name=name)
    zone, world, agents = (frozen(np.concatenate([getattr(part, what) for part in parts])) for what in ("zone", "world", "agents"))
    action = frozen(np.concatenate([part.action for part in parts]))
    return Chain(game, mdp, form.steps, frozen(stage), zone, world, agents, action)


def _reachable(form: Unfolding, start: IntArray) -> list[IntArray]:
    """The numbers of the states that can be reached at each micro step, ascending."""
    known = [np.zeros(0, dtype=np.int64)] * form.steps
    fresh = np.unique(_encoded(start, form.radices))
    j = 0
    while len(fresh):
        known[j] = np.union1d(known[j], fresh)
        after = form.branches(j, _decoded(fresh, form.radices)).states
        j = (j + 1) % form.steps
        fresh = np.setdiff1d(np.unique(_encoded(after, form.radices)), known[j], assume_unique=True)
    return known


def _encoded(states: IntArray, radices: tuple[int, ...]) -> IntArray:
    codes = np.zeros(len(states), dtype=np.int64)
    for column, radix in zip(states.T, radices, strict=True):
        codes = codes * radix + column
    return codes


def _decoded(codes: IntArray, radices: tuple[int, ...]) -> IntArray:
    states = np.empty((len(codes), len(radices)), dtype=np.int64)
    for i in range(len(radices) - 1, -1, -1):
        codes, states[:, i] = np.divmod(codes, radices[i])
    return states
