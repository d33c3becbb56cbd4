"""The two-level surrogate J[K, k]: K agents in all, of whom the global agent sees k, drawn anew at every step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, real_number, whole_number
from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, affordable, largest_k, size
from eqsolve.mean_field.operators.lift import ACCURACY, Lift, lift
from eqsolve.mean_field.operators.linear import settle
from eqsolve.mean_field.operators.stage import raised, rate
from eqsolve.mean_field.policy import SubsampledPolicy

MODERATE = 12_000
"""Histograms times agents up to which K is taken by default."""
MOST = 200
"""Agents, of few states, that are taken by default."""
UNIT = 2.0**-53


def default_population(game: GlobalLocalGame, k: int) -> int:
    """How many agents stand for all n by default: k at least, n at most, and in between as many as are evaluated in a moment.

    Examples
    --------
    >>> import numpy as np
    >>> stay = np.eye(5)[:, None, None, :]
    >>> game = GlobalLocalGame(np.ones((1, 1, 1)), stay, [[1.0]], np.zeros((5, 1, 1)), n=1000, gamma=0.9)
    >>> default_population(game, 2), default_population(game, 50)
    (10, 50)
    """
    K, most = k, min(game.n, MOST)
    while most > K and (K + 1) * size(K + 1, game.n_local_states) <= MODERATE:
        K += 1
    return K


@dataclass(frozen=True, slots=True, eq=False)
class Valued:
    """What a pair of policies earns.

    Parameters
    ----------
    values : (G, N_K) from every state of the global agent and histogram of the K agents, each within ``radius``.
    value : J[K, k], from the initial law. radius : the true value lies within so much of it, in reward units.
    sweeps : of the operator.
    """

    values: FloatArray
    value: float
    radius: float
    sweeps: int

    @property
    def lower(self) -> float:
        """The true value is not less."""
        return self.value - self.radius

    @property
    def upper(self) -> float:
        """The true value is not more."""
        return self.value + self.radius


@dataclass(frozen=True, slots=True, eq=False)
class TwoLevel:
    r"""A system of K local agents in which the global agent sees k of them, drawn without replacement at every step.

    .. math:: J[K, k](\pi) = \mathbb E \sum_t \gamma^t \Big[ r_g(s_g, a_g) + \tfrac1K \sum_{i \le K} r_l(s_i, s_g, a_i) \Big],
              \qquad a_g \sim w(\cdot \mid s_g, D) = \sum_d \frac{\prod_z \binom{D_z}{d_z}}{\binom Kk} \pi_g(\cdot \mid s_g, d)

    With K = n it is what the policies earn online (Algorithm 4), exactly; with K = k it is the surrogate of the paper, in which
    everything is seen. In between it is an estimate of the online value that can be compared across k.

    Parameters
    ----------
    game : the game; its n only limits K. K : agents in all. k : agents that are seen.

    Raises
    ------
    InvalidGame : k > K or K > n.
    InvalidData : k or K below 1, or more histograms than memory holds; the largest K that fits is told.

    Notes
    -----
    The mixed law w takes no hypergeometric matrix: a sample of k out of j + 1 agents is one out of j after a random agent has left,
    so that k + 1, ..., K follow from each other at Z multiplications per histogram.
    """

    game: GlobalLocalGame
    K: int
    k: int

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "K", whole_number("K", self.K, 1))
        put(self, "k", whole_number("k", self.k, 1))
        if self.k > self.K:
            raise InvalidGame(f"k is {self.k:,}, and there are K = {self.K:,} agents", "Nobody sees more agents than there are.")
        if self.game.n < self.K:
            raise InvalidGame(f"K is {self.K:,}, and the game has {self.game.n:,} agents", f"Give a K of at most {self.game.n:,}.")
        G, Z = self.game.n_global_states, self.game.n_local_states
        numbers = max(4 * G * G, G * (G + self.game.n_global_actions))
        try:
            affordable(self.K, Z, numbers, "numbers of one sweep")
        except InvalidData as cause:
            fits = largest_k(Z, numbers)
            remedy = cause.remedy if fits is None else f"Give K <= {fits:,}."
            raise InvalidData(f"K = {self.K:,}: {cause.what}", remedy) from cause

    @property
    def histograms(self) -> Histograms:
        """Of the K agents."""
        return Histograms(self.K, self.game.n_local_states)

    def initial(self) -> FloatArray:
        """(G, N_K) the law of the first state and histogram."""
        law = self.game.initial
        return np.asarray(law.global_law[:, None] * law.histogram_law(self.histograms))

    def mixed(self, global_rows: npt.ArrayLike) -> FloatArray:
        """(G, A, N_K) the chances of the global actions when k of the K agents are seen.

        Parameters
        ----------
        global_rows : (G, N_k, A) the policy of the global agent; any function of the k-histogram is averaged alike.

        Raises
        ------
        InvalidData : of another number of states or histograms.
        """
        G, Z = self.game.n_global_states, self.game.n_local_states
        rows = float_array("global_rows", global_rows, (G, Histograms(self.k, Z).size, None))
        A = rows.shape[2]
        return raised(rows.transpose(0, 2, 1).reshape(G * A, -1), Z, self.k, self.K).reshape(G, A, -1)

    def unmixed(self, mass: FloatArray) -> FloatArray:
        """(G, A, N_k) the adjoint of ``mixed``: numbers (G, A, N_K) shared out among what may be seen of each histogram."""
        seen = mass
        for agents in range(self.K, self.k, -1):
            larger = Histograms(agents, self.game.n_local_states)
            shares = larger.table / agents
            total = np.zeros((*seen.shape[:2], size(agents - 1, larger.Z)))
            for z in range(larger.Z):
                there = np.flatnonzero(shares[:, z])  # their histograms without the one who leaves are all different
                total[:, :, larger.without(z)[there]] += shares[there, z] * seen[:, :, there]
            seen = total
        return seen

    def global_gradient(self, local_policy: npt.ArrayLike, values: FloatArray, visits: FloatArray) -> FloatArray:
        """(G, N_k, A) the exact gradient of J[K, k] in the policy of the global agent, up to a constant in every row.

        Parameters
        ----------
        values, visits : (G, N_K) of the pair of policies, from ``Facing``. Actions that are not available have minus infinity.
        """
        game = self.game
        ahead = lift(game.local_rows(local_policy), self.K).apply(values)
        worth = game.global_reward[:, :, None] + game.gamma * np.einsum("gah,ghd->gad", game.global_kernel, ahead)
        gradient = self.unmixed(visits[:, None] * worth).transpose(0, 2, 1)
        return np.where(game.global_available[:, None, :], gradient, -np.inf)

    def facing(self, policy: SubsampledPolicy | npt.ArrayLike) -> Facing:
        """The system under a policy of the global agent, given alone as rows (G, N_k, A) or with its ``SubsampledPolicy``.

        Raises
        ------
        InvalidData : of another number of states or histograms.
        """
        rows = policy.global_rows(self.game.n_global_actions) if isinstance(policy, SubsampledPolicy) else policy
        mixed = self.mixed(rows)
        moves = np.einsum("gad,gah->ghd", mixed, self.game.global_kernel)
        return Facing(self, np.ascontiguousarray(moves), np.einsum("gad,ga->gd", mixed, self.game.global_reward))

    def value(self, policy: SubsampledPolicy, tolerance: float = 1e-8) -> Valued:
        """What a policy earns, within ``tolerance``.

        Raises
        ------
        InvalidPolicy : a policy of another game. InvalidData : one that sees another number of agents.
        """
        policy.check(self.game)
        if policy.k != self.k:
            raise InvalidData(f"the policy sees {policy.k} agents, and the surrogate {self.k}")
        start = policy.hint if self.k == self.K else None
        return self.facing(policy).evaluate(policy.local_policy, tolerance=tolerance, start=start)


@dataclass(frozen=True, slots=True, eq=False)
class Facing:
    """The two-level surrogate with the policy of the global agent fixed: what the local policy is judged by.

    Parameters
    ----------
    surrogate : K and k. moves : (G, G', N_K) chances of the next state of the global agent. rewards : (G, N_K) of r_g, expected.
    """

    surrogate: TwoLevel
    moves: FloatArray
    rewards: FloatArray

    def evaluate(
        self,
        local_policy: npt.ArrayLike,
        *,
        tolerance: float = 1e-8,
        start: FloatArray | None = None,
        beaten: float | None = None,
    ) -> Valued:
        """J[K, k] of a local policy (G, Z, A_l), by policy evaluation with MacQueen's bounds.

        Parameters
        ----------
        tolerance : of the value, in reward units; not narrower than rounding allows, and ``radius`` tells what was reached.
        start : (G, N_K) values to begin with. beaten : stop as soon as the value is certainly below.

        Raises
        ------
        InvalidGame : sums of rows of the kernels are so far above 1 that values may be infinite.
        """
        bound = real_number("tolerance", tolerance, above=0.0)
        game, K = self.surrogate.game, self.surrogate.K
        rows = game.local_rows(local_policy)
        span = max(game.reward_bound, 1e-300) / (1.0 - game.gamma) ** 2
        operator = lift(rows, K, accuracy=float(np.clip(0.1 * bound / span, 1e-12, ACCURACY)))
        rewards = self.rewards + self.surrogate.histograms.mean(game.local_payoff(local_policy))
        first, gamma = self.surrogate.initial(), game.gamma
        shift, largest = gamma / (1.0 - gamma), float(np.abs(rewards).max())
        # A sweep's rounding, and by how much rows that sum to 1 within 1e-9 only change a constant.
        noise = operator.error + (4 * game.n_global_states + K * game.n_local_states + 16) * UNIT
        uneven = float(np.abs(self.moves.sum(axis=1) - 1.0).max()) + K * float(np.abs(rows.sum(axis=2) - 1.0).max())
        endless = 1.0 + rate(gamma, 1.01 * uneven)
        best: Valued | None = None
        sweeps = 0

        def sweep(values: FloatArray) -> FloatArray:
            return np.asarray(rewards + gamma * np.einsum("ghd,ghd->gd", self.moves, operator.apply(values)))

        def over(values: FloatArray, change: FloatArray) -> bool:
            nonlocal best, sweeps
            sweeps += 1
            low, high = float(change.min()), float(change.max())
            rounding = 2.0 * noise * (float(np.abs(values).max()) + largest) * endless
            rounding += 1.02 * shift * uneven * max(abs(low), abs(high)) * endless
            radius = shift * (high - low) / 2.0 + rounding
            if best is None or radius < best.radius:
                settled = values + shift * (low + high) / 2.0
                best = Valued(settled, float(np.einsum("gd,gd->", first, settled)), radius, sweeps)
            return best.radius <= bound or (beaten is not None and best.upper < beaten)

        at = np.zeros_like(rewards) if start is None else np.array(start, dtype=np.float64)
        settle(sweep, at, over, lambda change: float(np.ptp(change)), centred=True)
        assert best is not None
        return replace(best, sweeps=sweeps)

    def occupancy(self, local_policy: npt.ArrayLike, *, tolerance: float = 1e-10, start: FloatArray | None = None) -> FloatArray:
        r"""(G, N_K) the discounted visits :math:`d = \rho + \gamma T^\top d`, 1 / (1 - gamma) in all, by the transposed operator.

        Parameters
        ----------
        tolerance : of the sum of absolute errors, as far as rounding allows. start : visits to begin with.
        """
        bound = real_number("tolerance", tolerance, above=0.0)
        game = self.surrogate.game
        operator = lift(game.local_rows(local_policy), self.surrogate.K)
        first, gamma = self.surrogate.initial(), game.gamma

        def sweep(visits: FloatArray) -> FloatArray:
            return first + gamma * operator.transpose(visits[:, None] * self.moves)

        def over(visits: FloatArray, change: FloatArray) -> bool:
            return gamma / (1.0 - gamma) * float(np.abs(change).sum()) <= bound

        at = first / (1.0 - gamma) if start is None else np.array(start, dtype=np.float64)
        return settle(sweep, at, over, lambda change: float(np.abs(change).sum()))

    def gradient(self, local_policy: npt.ArrayLike, values: FloatArray, visits: FloatArray) -> FloatArray:
        r"""(G, Z, A_l) the exact gradient of J[K, k] in the shared local policy.

        .. math:: \frac{\partial J}{\partial \pi_l(a \mid g, u)} = \sum_D d(g, D)\, D_u \Big[ \frac{r_l(u, g, a)}K
                  + \gamma \sum_{g'} P(g' \mid g, D) \sum_{s'} P_l(s' \mid u, g, a)\, \mathbb E\, V(g', D'_{D - e_u} + e_{s'}) \Big]

        with the expectation over the moves of the K - 1 other agents. A policy is stationary among all shared ones when no action
        that is taken is worse, and no other better, than the average of its row.

        Parameters
        ----------
        values, visits : (G, N_K) those of the policy, from ``evaluate`` and ``occupancy``.
        """
        game, K = self.surrogate.game, self.surrogate.K
        Z, some = game.n_local_states, self.surrogate.histograms
        fewer = Histograms(K - 1, Z)
        operator: Lift | None = lift(game.local_rows(local_policy), K - 1) if K > 1 else None
        # From the point of view of the K - 1 others, c: one more agent is in u, and it goes to s.
        joined = [fewer.joined(u) for u in range(Z)]
        mass = [visits[:, joined[u]] * (fewer.table[:, u] + 1.0) for u in range(Z)]
        ahead = np.zeros((game.n_global_states, Z, Z))
        for s in range(Z):
            later = values[:, joined[s]]
            others = np.broadcast_to(later, (len(values), *later.shape)) if operator is None else operator.apply(later)
            for u in range(Z):
                ahead[:, u, s] = np.einsum("gc,ghc,ghc->g", mass[u], self.moves[:, :, joined[u]], others)
        met = np.einsum("gd,du->gu", visits, some.table) / K
        now = met[:, :, None] * game.local_reward.transpose(1, 0, 2)
        return np.asarray(now + game.gamma * np.einsum("gus,ugas->gua", ahead, game.local_kernel))

    def weights(self, visits: FloatArray) -> FloatArray:
        """(G, Z) discounted expected number of agents that use each row of the local policy."""
        return np.asarray(np.einsum("gd,du->gu", visits, self.surrogate.histograms.table))


def two_level_value(game: GlobalLocalGame, policy: SubsampledPolicy) -> float:
    """J[K, k] of a policy at the default K: what it earns online where K = n, and an estimate of it elsewhere."""
    policy.check(game)
    return TwoLevel(game, default_population(game, policy.k), policy.k).value(policy).value
