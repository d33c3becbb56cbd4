"""Joint policies under subsampling: what the global agent does on seeing k local agents, and what these share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, frozen, int_array, whole_number
from eqsolve.errors import InvalidData
from eqsolve.mean_field.game import GlobalLocalGame, check_rows
from eqsolve.mean_field.histograms import size


class InvalidPolicy(InvalidData):
    """Arrays that are no joint policy, or a policy of another game."""


@dataclass(frozen=True, slots=True, eq=False)
class SubsampledPolicy:
    r"""Two policies: :math:`\pi_g(a_g \mid s_g, d)` of the histogram d of k sampled agents, and :math:`\pi_l(a \mid s_i, s_g)`.

    At every step k of the n local agents are drawn without replacement.

    Parameters
    ----------
    k : how many local agents are seen, at least 1.
    global_policy : (G, N_k) numbers of actions, or (G, N_k, A_g) probabilities; histograms in the order of ``Histograms(k, Z)``.
    local_policy : (G, Z, A_l) probabilities.
    hint : (G, N_k) a value function from which a certificate may start; never taken for true. May be None.

    Raises
    ------
    InvalidPolicy : k below 1, an array of another shape, a negative action or probability, a row that is empty or of another sum.

    Notes
    -----
    Source: the policy classes of section 2 of the paper, which see the tuple of k states; by symmetry a histogram is as good.

    Examples
    --------
    >>> SubsampledPolicy(1, [[0, 1]], [[[1.0], [1.0]]])
    <SubsampledPolicy: 1 of the local agents seen, 1 x 2 places, deterministic>
    """

    k: int
    global_policy: npt.NDArray[Any]
    local_policy: FloatArray
    hint: FloatArray | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "k", whole_number("k", self.k, 1, InvalidPolicy))
        local = float_array("local_policy", self.local_policy, (None, None, None), error=InvalidPolicy)
        if not local.size:
            raise InvalidPolicy(f"local_policy has shape {' x '.join(map(str, local.shape))}: there is nothing to play")
        check_rows("local_policy", local, InvalidPolicy)
        put(self, "local_policy", local)
        places = (local.shape[0], size(self.k, local.shape[1]))
        put(self, "global_policy", _global(self.global_policy, places))
        if self.hint is not None:
            put(self, "hint", float_array("hint", self.hint, places, error=InvalidPolicy))

    @property
    def is_deterministic(self) -> bool:
        """Whether the global policy is given as numbers of actions."""
        return self.global_policy.ndim == 2

    def global_rows(self, n_actions: int) -> FloatArray:
        """(G, N_k, A_g) the global policy as probabilities.

        Raises
        ------
        InvalidPolicy : an action that is not among so many.
        """
        self._check_actions(n_actions)
        if not self.is_deterministic:
            return np.asarray(self.global_policy)
        return np.asarray(np.eye(n_actions)[self.global_policy])

    def check(self, game: GlobalLocalGame) -> None:
        """Refuse a policy of another game.

        Raises
        ------
        InvalidPolicy : of another number of states or actions, of more agents than there are (k > n), one that plays an action that
            is not available.
        """
        G, Z = game.n_global_states, game.n_local_states
        if self.local_policy.shape[:2] != (G, Z):
            found = " and ".join(map(str, self.local_policy.shape[:2]))
            raise InvalidPolicy(f"the policy is for {found} global and local states, and the game has {G} and {Z}")
        if self.k > game.n:
            raise InvalidPolicy(f"the policy sees k = {self.k:,} local agents, and there are {game.n:,}", "Give k of at most n.")
        game.check_local(self.local_policy, InvalidPolicy)
        self._check_actions(game.n_global_actions)
        away = ~game.global_available
        if not away.any():
            return
        played = ~game.global_available[np.arange(G)[:, None], self.global_policy] if self.is_deterministic else None
        bad = played if played is not None else ((self.global_policy > 0) & away[:, None, :]).any(axis=2)
        if bad.any():
            g, at = (int(one) for one in np.argwhere(bad)[0])
            raise InvalidPolicy(f"global_policy[{g}, {at}] plays an action that global state {game.global_label(g)} does not have")

    def _check_actions(self, n_actions: int) -> None:
        if not self.is_deterministic:
            if self.global_policy.shape[2] != n_actions:
                raise InvalidPolicy(f"the policy is for {self.global_policy.shape[2]} global actions, and the game has {n_actions}")
            return
        if self.global_policy.max() >= n_actions:
            g, at = (int(one) for one in np.argwhere(self.global_policy >= n_actions)[0])
            raise InvalidPolicy(
                f"global_policy[{g}, {at}] is {self.global_policy[g, at]}, and there are {n_actions} global actions"
            )

    def __repr__(self) -> str:
        G, N = self.global_policy.shape[:2]
        form = "deterministic" if self.is_deterministic else "stochastic"
        return f"<SubsampledPolicy: {self.k:,} of the local agents seen, {G:,} x {N:,} places, {form}>"


def uniform_policy(game: GlobalLocalGame, k: int) -> SubsampledPolicy:
    """All available actions equally likely, on both sides.

    Raises
    ------
    InvalidPolicy : k is not in 1, ..., n.
    """
    seen = whole_number("k", k, 1, InvalidPolicy, most=game.n)
    shares = game.global_available / game.global_available.sum(axis=1, keepdims=True)
    G, N = game.n_global_states, size(seen, game.n_local_states)
    rows = np.broadcast_to(shares[:, None, :], (G, N, game.n_global_actions))
    return SubsampledPolicy(seen, rows, game.uniform_local())


def _global(given: Any, places: tuple[int, int]) -> npt.NDArray[Any]:
    array = given if isinstance(given, np.ndarray) else float_array("global_policy", given, error=InvalidPolicy)
    if array.ndim == 3:
        rows = float_array("global_policy", given, (*places, None), error=InvalidPolicy)
        check_rows("global_policy", rows, InvalidPolicy)
        return rows
    if array.dtype.kind in "iu" and array.shape == places:
        actions = frozen(array, given)
    else:
        actions = int_array("global_policy", given, places, error=InvalidPolicy)
    if actions.min() < 0:
        g, at = (int(one) for one in np.argwhere(actions < 0)[0])
        raise InvalidPolicy(f"global_policy[{g}, {at}] is {actions[g, at]}, a negative number of an action")
    return actions
