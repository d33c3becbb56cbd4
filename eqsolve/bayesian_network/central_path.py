"""Occupancies with a logarithmic barrier, or with their entropy: concave programs over all joint policies of a game."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from scipy import sparse, special

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.backends import Outcome
from eqsolve.bayesian_network.factors import in_words
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.network import Edges, InvalidNetwork, as_network
from eqsolve.bayesian_network.objective import barrier_weight
from eqsolve.bayesian_network.parameters import network_parameter
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy
from eqsolve.bayesian_network.result import ProgramNetworkResult
from eqsolve.certificates import Bound
from eqsolve.driver import Answered, OneProgram, Result
from eqsolve.errors import InvalidGame, unknown
from eqsolve.mdp.flow import Flow, pair_axes, reached
from eqsolve.mdp.model import FiniteMDP
from eqsolve.mdp.recovery import occupancy_of, policy_of
from eqsolve.programs import Program, ProgramBuilder, StructureAnswer
from eqsolve.programs.cone import Cone

Kind = Literal["log", "entropy"]
KINDS = ("log", "entropy")
LEAST = -200.0
"""Lower bound of the logarithm of a visit, which never binds."""
LARGEST = 100_000
"""Most cones that a program is built with."""
CENTRED = 1e-15
"""Squared Newton decrement, in units of lambda, at which a point is on the path."""
NEAR = 1e-2
"""The same for the stronger barriers on the way."""
SHRINK = 0.2
"""Factor between the barriers that lead to the one asked for."""
STEPS = 400


@dataclass(frozen=True, slots=True, eq=False)
class CentralPath:
    """The structure of ``central_path_program``: Newton's method on the dual, whose variables are the values of the states.

    Parameters
    ----------
    mdp : the joint process. pairs : those that can be visited. lam : lambda, of the whole barrier. kind : of barrier.
    """

    mdp: FiniteMDP
    pairs: IntArray
    lam: float
    kind: Kind

    @property
    def name(self) -> str:
        """The form's name."""
        return "central path of occupancies"

    def refuses(self, program: Program) -> str | None:
        """Why a program is not of the form, or None: it is what ``central_path_program`` builds, with any rewards."""
        K = self.mdp.n_pairs
        if program.n_columns != 2 * K or program.sense != "max":
            return "it has other columns"
        want = _program(self.mdp, self.lam, self.kind)
        same = [(program.row_lower, want.row_lower), (program.row_upper, want.row_upper), (program.c[K:], want.c[K:])]
        same += [(program.col_lower, want.col_lower), (program.col_upper, want.col_upper)]
        if any(a.shape != b.shape or (a != b).any() for a, b in same) or abs(program.A - want.A).nnz:
            return "its rows, bounds or weights have changed"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        r"""Minimise :math:`b^\top v + \Phi(E^\top v - c)`, for an ever weaker barrier; the visits are :math:`-\nabla \Phi`."""
        flow, K, pairs = Flow.of(self.mdp), self.mdp.n_pairs, self.pairs
        states = np.unique(self.mdp.owner[pairs])
        E = sparse.csr_array(flow.matrix)[states][:, pairs]
        c = program.c[pairs]
        share = 1.0 - self.mdp.gamma
        barrier = partial(_BARRIERS[self.kind], share=share, scale=flow.scale)
        v, slack, steps = newton(E, flow.supply[states], c, self.lam, barrier, share)
        if v is None:
            return StructureAnswer("iteration_limit", iterations=steps)
        weight = float(program.c[K + pairs[0]])
        x, values, cones = np.zeros(2 * K), np.zeros(self.mdp.n_states), np.zeros((3, K))
        visits = barrier(slack, lam=self.lam).visits
        x[pairs], values[states] = visits, v
        cones[0, pairs] = -weight
        if self.kind == "log":
            x[K + pairs] = np.log(visits / flow.scale)
            mass = slack * flow.scale
            cones[1, pairs], cones[2, pairs] = -weight * (1.0 + np.log(mass / weight)), mass
        else:
            part = share * visits / flow.scale
            x[K + pairs] = -special.xlogy(part, part)
            cones[1, pairs], cones[2, pairs] = slack * flow.scale / share, weight * part
        return StructureAnswer("optimal", x, np.concatenate([values, -cones.reshape(-1)]), iterations=steps)


@dataclass(frozen=True, slots=True, eq=False)
class Barrier:
    """A barrier at given slacks (n,): its value, its visits (minus the gradient), and their fall per unit of slack.

    ``bounded`` : whether it is finite for positive slacks only.
    """

    value: float
    visits: FloatArray
    fall: FloatArray
    bounded: bool


def _log_barrier(slack: FloatArray, lam: float, *, share: float, scale: float) -> Barrier:
    weight = lam * scale / len(slack)
    visits = weight / slack
    return Barrier(-weight * float(np.log(slack).sum()), visits, visits / slack, True)


def _entropy_barrier(slack: FloatArray, lam: float, *, share: float, scale: float) -> Barrier:
    rate = lam * share
    with np.errstate(over="ignore"):  # at steps that are too long
        visits = scale / share * np.exp(-slack / rate - 1.0)
        return Barrier(rate * float(visits.sum()), visits, visits / rate, False)


_BARRIERS: dict[Kind, Callable[..., Barrier]] = {"log": _log_barrier, "entropy": _entropy_barrier}


def central_path_program(game: CooperativeMarkovGame, lam: float, kind: Kind = "log") -> Program:
    r"""The joint policy of largest value plus a concave function of its visits.

    .. math:: \max_d\ \sum_{s,a} r\, d + \frac{\lambda}{K} \sum_{s,a} \log d(s, a) \qquad\text{or}\qquad
              \max_d\ \sum_{s,a} r\, d - \lambda \sum_{s,a} x \log x,\quad x = (1 - \gamma)\, d

    subject to the flow of visits, K being the number of pairs that can be visited. Unlike L_lambda, whose barrier is on the
    conditional probabilities, both are concave. With the logarithm the optimum is the point of the central path of the occupancy
    program whose duality gap is lambda: its policy is within lambda of the best one, whatever the mismatch coefficient. With the
    entropy it is within lambda log(|S| |A|). Columns ``d`` (times kappa, as in ``occupancy_program``) and ``t``, rows ``flow`` and
    those of one exponential cone per pair that can be visited: ``log``, ``one``, ``mass`` (t <= log d), or ``bonus``, ``share``,
    ``one``.

    Parameters
    ----------
    lam : lambda > 0 in reward units. kind : ``"log"`` or ``"entropy"``.

    Returns
    -------
    Program of kind EXP with the structure ``CentralPath``, which ``native`` solves by Newton's method.

    Raises
    ------
    InvalidData : lambda is not above 0. UnknownName : another kind. InvalidGame : the joint process is too large.
    """
    if kind not in KINDS:
        raise unknown("kind of central path", kind, KINDS)
    weight = barrier_weight(lam)
    pairs = game.n_states * game.n_joint
    if pairs > LARGEST:
        raise InvalidGame(
            f"the joint process has {in_words(pairs)} state-action pairs, each with a cone of its own",
            f"At most {LARGEST:,} are built.",
        )
    return _program(game.joint_mdp(), weight, kind)


def _program(mdp: FiniteMDP, lam: float, kind: Kind) -> Program:
    flow, K = Flow.of(mdp), mdp.n_pairs
    visited = np.flatnonzero(reached(mdp, mdp.gamma)[0][mdp.owner])
    mask = np.zeros(K, dtype=bool)
    mask[visited] = True
    builder = ProgramBuilder(f"occupancy with {'log barrier' if kind == 'log' else 'entropy'}", sense="max")
    d = flow.columns(builder, "d", upper=np.where(mask, flow.most, 0.0))
    low, high = (LEAST, float(np.log(flow.most / flow.scale))) if kind == "log" else (0.0, 1.0)
    t = flow.columns(builder, "t", lower=np.where(mask, low, 0.0), upper=np.where(mask, high, 0.0))
    flow.rows(builder, d)
    sides, counts, axes, labels = pair_axes(mdp)
    names = ("log", "one", "mass") if kind == "log" else ("bonus", "share", "one")
    parts = [builder.rows(name, sides, counts=counts, axes=axes, labels=labels) for name in names]
    builder.add(parts[0], t, visited, visited)
    total = 1.0 if kind == "log" else 1.0 - mdp.gamma
    builder.add(parts[2] if kind == "log" else parts[1], d, visited, visited, total / flow.scale)
    builder.objective(d, flow.reward)
    weight = lam * flow.scale / (len(visited) if kind == "log" else 1)
    builder.objective(t, np.where(mask, weight, 0.0))
    program = builder.build(structure=CentralPath(mdp, visited, lam, kind), note=f"lambda {lam:.6g}, scale {flow.scale:.6g}")
    starts = np.asarray([part.start for part in parts])
    shift = np.asarray([0.0, 1.0, 0.0] if kind == "log" else [0.0, 0.0, 1.0])
    return replace(program, cones=tuple(Cone("exp", starts + k, shift) for k in visited.tolist()))


def newton(
    E: Any, b: FloatArray, c: FloatArray, lam: float, barrier: Callable[..., Barrier], share: float
) -> tuple[FloatArray | None, FloatArray, int]:
    """The minimiser v of b v + barrier(E'v - c, lam), by way of stronger barriers, each by damped Newton steps.

    Returns v (None where it was not found), the slacks E'v - c, and the number of steps. Small slacks are differences of large
    values, and lost in their rounding; so they are carried along by themselves, to their own relative precision.

    Parameters
    ----------
    E : (S, n) flow of the pairs. b : (S,) supply. c : (n,) rewards. lam : lambda. share : 1 - gamma.
    """
    spread = float(np.ptp(c))
    v = np.full(len(b), (float(c.max()) + max(spread, lam)) / share)
    strength = max(lam, spread / share)
    transposed = sparse.csr_array(E.T)
    slack = np.asarray(transposed @ v - c)
    for steps in range(1, STEPS + 1):
        here = barrier(slack, lam=strength)
        gradient = b - E @ here.visits
        scaled = E.multiply(np.sqrt(here.fall))
        hessian = (scaled @ scaled.T).toarray()
        # To unit diagonal: states that hardly anybody visits have tiny rows, and where visits vanish in rounding none at all.
        diagonal = hessian.diagonal()
        unit = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        hessian = unit[:, None] * hessian * unit
        hessian.flat[:: len(b) + 1] = 1.0
        move = -unit * np.linalg.solve(hessian, unit * gradient)
        change = transposed @ move
        # In units of strength times the episodes.
        decrement = float(-gradient @ move) / (strength * float(b.sum()))
        size = _step(float(b @ move), slack, change, partial(barrier, lam=strength), here, float(gradient @ move))
        v, slack = v + size * move, slack + size * change
        if decrement <= (CENTRED if strength == lam else NEAR) or size == 0.0:
            if strength == lam:
                return (v if decrement <= NEAR else None), slack, steps
            strength = max(lam, SHRINK * strength)
    return None, slack, STEPS


def _step(
    linear: float, slack: FloatArray, change: FloatArray, barrier: Callable[..., Barrier], here: Barrier, slope: float
) -> float:
    """The largest of 1, 1/2, 1/4 ... that keeps to where the barrier is finite, and falls by a tenth of what is predicted."""
    falling = change < 0
    room = float((slack[falling] / -change[falling]).min()) if here.bounded and falling.any() else np.inf
    size = min(1.0, 0.95 * room)
    noise = 1e-13 * (1.0 + abs(here.value) + abs(linear))
    while size > 1e-13:
        gain = size * linear + barrier(slack + size * change).value - here.value
        if gain <= 0.1 * size * slope + noise:
            return size
        size *= 0.5
    return 0.0


@dataclass(frozen=True, slots=True)
class OccupancyBarrier(OneProgram[CooperativeMarkovGame, BayesianNetworkPolicy]):
    """The joint policy on the central path of the occupancy program, over a dense network: one concave program.

    Parameters
    ----------
    lam : lambda > 0, the optimality gap in reward units. kind : ``"log"``, or ``"entropy"`` of the visits.
    network : ``"dense"``, or the edges of a dense network.

    Raises
    ------
    InvalidData : lambda is not above 0. UnknownName : another kind or network.
    """

    lam: float = 0.01
    kind: Kind = "log"
    network: str | Edges = "dense"

    def __post_init__(self) -> None:
        object.__setattr__(self, "lam", barrier_weight(self.lam))
        object.__setattr__(self, "network", network_parameter(self.network))
        if self.kind not in KINDS:
            raise unknown("kind of central path", self.kind, KINDS)

    def build(self, game: CooperativeMarkovGame) -> Program:
        """The program.

        Raises
        ------
        InvalidNetwork : the network is not dense. InvalidGame : the joint process is too large.
        """
        network = as_network(self.network, game.n_agents)
        if not network.is_dense:
            raise InvalidNetwork(
                f"OccupancyBarrier is for dense networks; this one has {len(network.edges)} edges", "Use AgentwiseBarrierIteration."
            )
        return central_path_program(game, self.lam, self.kind)

    def read(self, game: CooperativeMarkovGame, outcome: Outcome) -> BayesianNetworkPolicy:
        """The conditional probabilities of the visits; states that are never visited play uniformly."""
        network, mdp = as_network(self.network, game.n_agents), game.joint_mdp()
        visits = occupancy_of(mdp, self.build(game), outcome)
        joint = policy_of(mdp, visits, fallback=mdp.uniform_policy())
        return BayesianNetworkPolicy.from_joint(network, joint.reshape(game.n_states, *game.n_actions))

    def bounds(self, game: CooperativeMarkovGame, state: Answered, policy: BayesianNetworkPolicy) -> tuple[Bound, ...]:
        """The duality gap of the optimum."""
        pairs = game.n_states * game.n_joint
        value = self.lam if self.kind == "log" else self.lam * float(np.log(pairs))
        source = "duality gap of the central path" if self.kind == "log" else "largest entropy of the visits"
        return (Bound("optimality gap", value, source, {"lambda": self.lam}),)

    def select(self, game: CooperativeMarkovGame, selector: str, solved: Callable[[], Any]) -> Program:
        """The one program, or another one of the game."""
        from eqsolve.bayesian_network.programs import named_program
        from eqsolve.driver.algorithm import selected

        return named_program(game, self.lam, *selected(selector)) if selector else self.build(game)

    def program(self, result: Result[CooperativeMarkovGame, Answered, BayesianNetworkPolicy], *which: Any) -> Program:
        """The one program, or another one of the game."""
        from eqsolve.bayesian_network.programs import named_program

        return named_program(result.game, self.lam, *which) if which else self.build(result.game)

    def result_class(self) -> type[ProgramNetworkResult]:
        """A result that tells the optimality gap as well."""
        return ProgramNetworkResult
