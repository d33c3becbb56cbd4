"""The explicit programs of mean-field games: visits of the k-surrogate, and the optimistic step of UCFH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, check_shape, float_array, int_array
from eqsolve.backends import Outcome
from eqsolve.errors import InvalidData
from eqsolve.mdp import FiniteMDP, LinearConstraint, Occupancy, policy_of
from eqsolve.mdp.flow import Flow
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.processes.surrogate import checked_k, surrogate_mdp, surrogate_size
from eqsolve.programs import Program, ProgramBuilder
from eqsolve.programs.block import Block

LARGEST = 2_500_000
"""Most coefficients of the flow; simplex methods take minutes from here on, where dynamic programming takes none."""
SUM = 1e-12
"""How far bounds may be from letting a distribution through."""


@dataclass(frozen=True, slots=True, eq=False)
class SurrogateProgram:
    """The linear program over visits of the k-surrogate, and the way back from its answers; made by ``occupancy_program``.

    Parameters
    ----------
    game, k, local_policy : what the surrogate is of. mdp : the surrogate. program : over ``d[global_state, histogram, action]``.
    scale : how many episodes run at once in the program.
    """

    game: GlobalLocalGame
    k: int
    local_policy: FloatArray
    mdp: FiniteMDP
    program: Program
    scale: float

    def value(self, outcome: Outcome) -> float:
        """The value of one episode from the initial law.

        Raises
        ------
        InvalidData : the outcome has no point.
        """
        return float(self.program.c @ self._point(outcome)) / self.scale

    def visits(self, outcome: Outcome) -> FloatArray:
        """(G, N_k, A_g) discounted visits of one episode, 1 / (1 - gamma) in all; raises as ``value``."""
        block = self.program.column_block("d")
        return np.maximum(self._point(outcome)[block.slice], 0.0).reshape(block.shape or ()) / self.scale

    def values(self, outcome: Outcome) -> FloatArray:
        """(G, N_k) the values of the states: duals of the flow, with constraints less what their prices take.

        Raises
        ------
        InvalidData : the outcome has no duals.
        """
        if outcome.y is None:
            raise InvalidData(f"the outcome of program {self.program.name!r} has no duals: {outcome.termination.value}")
        block = self.program.row_block("flow")
        return np.asarray(outcome.y[block.slice].reshape(block.shape or ()))

    def policy(self, outcome: Outcome) -> SubsampledPolicy:
        """The joint policy of the visits, mixed where they are; uniform where the surrogate never comes; raises as ``value``."""
        here = np.repeat(self.game.global_available[:, None, :], Histograms(self.k, self.game.n_local_states).size, axis=1)
        shares = np.zeros(here.shape)
        shares[here] = policy_of(self.mdp, self.visits(outcome)[here])
        return SubsampledPolicy(self.k, shares, self.local_policy)

    def _point(self, outcome: Outcome) -> FloatArray:
        if outcome.x is None:
            raise InvalidData(f"the outcome of program {self.program.name!r} has no point: {outcome.termination.value}")
        return outcome.x


def occupancy_program(
    game: GlobalLocalGame,
    k: int,
    local_policy: npt.ArrayLike,
    *,
    policy: SubsampledPolicy | None = None,
    constraints: Sequence[LinearConstraint] = (),
) -> SurrogateProgram:
    r"""The linear program over discounted visits ``d[global_state, histogram, action]`` of the k-surrogate.

    .. math:: \max_{d \ge 0} \sum_{s_g, h, a} d(s_g, h, a)\, r(s_g, h, a) \quad \text{s.t.} \quad
              \sum_a d(s_g', h', a) - \gamma \sum_{s_g, h, a} P_g(s_g' \mid s_g, a)\, D_k^{s_g}(h, h')\, d(s_g, h, a)
              = \kappa\, \rho(s_g', h')

    with :math:`\kappa = 1 / \max \rho` episodes at once. Rows: ``flow[global_state, histogram]``; with a fixed policy also
    ``policy[global_state, histogram, action]``, :math:`d(\cdot, a) = \pi_g(a \mid \cdot) / \pi_g(a^* \mid \cdot)\; d(\cdot, a^*)`
    with :math:`a^*` the likeliest action; with constraints ``constraint[name]``.

    Parameters
    ----------
    k : local agents, 1 to n. local_policy : (G, Z, A_l), what they play.
    policy : a global policy to be evaluated instead of the best one; its local policy plays no part.
    constraints : bounds on expected totals of costs (G, N_k, A_g), see ``LinearConstraint``.

    Raises
    ------
    InvalidPolicy : a policy of another game. InvalidData : another k than that of the policy, a cost of another shape, two
        constraints of one name; so large a k that solvers cannot be expected to answer: the largest k that fits is named.

    Notes
    -----
    Without constraints and policy it has the structure ``Occupancy``, which ``native`` solves exactly by dynamic programming.

    Examples
    --------
    >>> from eqsolve.backends import solve_program
    >>> stay = np.eye(2)[:, None, None, :]
    >>> game = GlobalLocalGame(np.ones((1, 2, 1)), stay, [[1.0, 2.0]], np.zeros((2, 1, 1)), n=9, gamma=0.5)
    >>> lp = occupancy_program(game, 1, game.uniform_local())
    >>> print(lp.program)
    visits of the 1-surrogate   LP, maximise                                                                       scale 2
      columns    d[global_state, histogram, action]  1 x 2 x 2   in [0, 8]
      rows       flow[global_state, histogram]       1 x 2       sum_k 0.5 d[i, j, k] = 1
      objective  sum_ijk c_ijk d[i, j, k]   4 terms, |c| in 1..2
      structure  occupancy
    >>> lp.value(solve_program(lp.program, "native"))
    4.0
    """
    k = _small_enough(game, k)
    local = game.check_local(local_policy)
    mdp = surrogate_mdp(game, k, local)
    flow = Flow.of(mdp)
    names = (_labels(game.global_states), _histogram_labels(game, k), _labels(game.global_actions))
    here = np.repeat(game.global_available[:, None, :], len(names[1] or ()), axis=1)
    at = np.flatnonzero(here)
    builder = ProgramBuilder(f"visits of the {k}-surrogate", sense="max")
    axes = ("global_state", "histogram", "action")
    d = builder.columns("d", here.shape, axes=axes, labels=names, upper=np.where(here, flow.most, 0.0))
    rows = builder.rows("flow", here.shape[:2], axes=axes[:2], labels=names[:2], lower=flow.supply, upper=flow.supply)
    entries = flow.matrix.tocoo()
    builder.add(rows, d, entries.row, at[entries.col], entries.data)
    reward = np.zeros(here.size)
    reward[at] = flow.reward
    builder.objective(d, reward)
    if policy is not None:
        _add_policy(builder, d, game, k, policy)
    if constraints:
        _add_constraints(builder, d, constraints, flow.scale)
    plain = policy is None and not constraints and bool(here.all())
    program = builder.build(structure=Occupancy(mdp) if plain else None, note=f"scale {flow.scale:.6g}")
    return SurrogateProgram(game, k, local, mdp, program, flow.scale)


def optimistic_program(lower: npt.ArrayLike, upper: npt.ArrayLike, worth: npt.ArrayLike, counts: npt.ArrayLike) -> Program:
    r"""The optimistic step of UCFH over all state-action pairs at once: ``p[pair, successor]``.

    .. math:: \max_p \sum_{i} \sum_{j} p_{ij}\, w_{ij} \quad \text{s.t.} \quad \sum_j p_{ij} = 1, \qquad
              \underline p_{ij} \le p_{ij} \le \overline p_{ij}

    Its pairs do not touch each other. ``optimism.extreme_values`` has the answer in closed form, by filling up the successors
    from the best one on (the inner loops of Algorithm 6).

    Parameters
    ----------
    lower, upper : (E,) bounds of the transition probabilities, pair by pair. worth : (E,) value of each successor.
    counts : (K,) how many successors each pair has.

    Raises
    ------
    InvalidData : another length, bounds outside [0, 1] or crossed, or bounds between which there is no distribution.
    """
    sizes = int_array("counts", counts, (None,))
    E = int(sizes.sum())
    low, high = float_array("lower", lower, (E,)), float_array("upper", upper, (E,))
    check_bounds(low, high, sizes)
    builder = ProgramBuilder("optimistic transitions", sense="max")
    p = builder.columns("p", counts=sizes, axes=("pair", "successor"), lower=low, upper=high)
    one = builder.rows("distribution", (len(sizes),), axes=("pair",), lower=1.0, upper=1.0)
    builder.add(one, p, np.repeat(np.arange(len(sizes)), sizes), np.arange(E))
    builder.objective(p, float_array("worth", worth, (E,)))
    return builder.build()


def check_bounds(lower: FloatArray, upper: FloatArray, counts: IntArray) -> None:
    """Refuse bounds (E,) of transition probabilities that let no distribution through; the first pair is named.

    Raises
    ------
    InvalidData : bounds outside [0, 1] or crossed, a pair without successors, lower bounds above 1 or upper bounds below 1 in sum.
    """
    wrong = (lower < 0) | (upper > 1) | (lower > upper)
    if wrong.any():
        e = int(np.argmax(wrong))
        raise InvalidData(f"the bounds of entry {e} are {lower[e]:g} and {upper[e]:g}", "Give 0 <= lower <= upper <= 1.")
    if counts.size and counts.min() < 1:
        raise InvalidData(f"pair {int(np.argmin(counts))} has no successor")
    first = np.cumsum(counts) - counts
    least, most = np.add.reduceat(lower, first), np.add.reduceat(upper, first)
    wrong = (least > 1 + SUM) | (most < 1 - SUM)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise InvalidData(f"the bounds of pair {i} sum to {least[i]:g} and {most[i]:g}: there is no distribution between them")


def _small_enough(game: GlobalLocalGame, k: int) -> int:
    try:
        return checked_k(game, k, lambda k: surrogate_size(game, k), LARGEST, "coefficients")
    except InvalidData as cause:
        if not cause.remedy.startswith(("The largest", "No k")):
            raise
        raise InvalidData(cause.what, f"{cause.remedy}\nDynamic programming goes further: solve_global.") from cause


def _add_policy(builder: ProgramBuilder, d: Block, game: GlobalLocalGame, k: int, policy: SubsampledPolicy) -> None:
    policy.check(game)
    if policy.k != k:
        raise InvalidData(f"the policy sees {policy.k} agents, and the surrogate has {k}")
    rows = policy.global_rows(game.n_global_actions).reshape(-1, game.n_global_actions)
    A = rows.shape[1]
    fixed = builder.rows("policy", d.shape or (), axes=d.axes, labels=d.labels, lower=0.0, upper=0.0)
    likeliest = np.argmax(rows, axis=1)
    ratio = rows / rows[np.arange(len(rows)), likeliest, None]
    ratio[np.arange(len(rows)), likeliest] = 0.0
    others = np.flatnonzero(np.arange(A) != likeliest[:, None])
    builder.add(fixed, d, others, others)
    played = np.flatnonzero(ratio)
    builder.add(fixed, d, played, played // A * A + likeliest[played // A], -ratio.reshape(-1)[played])


def _add_constraints(builder: ProgramBuilder, d: Block, constraints: Sequence[LinearConstraint], scale: float) -> None:
    names = tuple(one.name for one in constraints)
    for name in names:
        if names.count(name) > 1:
            raise InvalidData(f"two constraints are called {name!r}")
    for one in constraints:
        check_shape(f"cost of constraint {one.name!r}", one.cost, d.shape or ())
    lower, upper = ([scale * getattr(one, side) for one in constraints] for side in ("lower", "upper"))
    rows = builder.rows("constraint", (len(names),), axes=("name",), labels=(names,), lower=lower, upper=upper)
    builder.add(rows, d, np.stack([one.cost.reshape(-1) for one in constraints]))


def _labels(given: Sequence[str]) -> tuple[str, ...] | None:
    return tuple(given) or None


def _histogram_labels(game: GlobalLocalGame, k: int) -> tuple[str, ...]:
    """Counts such as ``2-0-1``, in the order of the local states."""
    return tuple("-".join(map(str, row)) for row in Histograms(k, game.n_local_states).table.tolist())
