"""The exact gap of a policy of a finite Markov game, by dynamic programming over the game alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray
from eqsolve.certificates import GapCertificate, Witness
from eqsolve.normal_form.markov import FiniteMarkovGame
from eqsolve.normal_form.regret import Correlated, action_values, check_concept


def policy_values(game: FiniteMarkovGame, policy: npt.ArrayLike) -> FloatArray:
    """(H + 1, N, S) what each player earns from each step on under a Markov joint policy (H, K).

    Raises
    ------
    InvalidGame : not a policy of the game.
    """
    pi = game.check_policy(policy)
    values = np.empty((game.horizon + 1, game.n_players, game.n_states))
    values[-1] = game.terminal
    for h in range(game.horizon - 1, -1, -1):
        values[h] = np.add.reduceat(game.continuation(h, values[h + 1]) * pi[h], game.first[:-1], axis=1)
    return values


def deviation_values(game: FiniteMarkovGame, policy: npt.ArrayLike, concept: Correlated = "CCE") -> FloatArray:
    r"""(H + 1, N, S) what each player earns by a best deviation from each step on, the others keeping to the policy.

    ``"CCE"``: the player ignores all recommendations; with q the policy of the step,
    :math:`W_{i,h}(s) = \max_b \sum_a q(a) [r_{i,h}(s, b, a_{-i}) + P_h W_{i,h+1}(s, b, a_{-i})]`. ``"CE"``: the player sees the own
    recommendation of the step and replaces it: :math:`\sum_{a_i} \max_b \sum_{a_{-i}} \ldots` instead.

    Deviations that use the whole history are covered: the policy is Markov and draws each step's joint action anew, so given the
    state, the history says nothing of what the others will do. A player who deviates faces a finite-horizon decision process with
    the states of the game (and for ``"CE"`` the recommendation), in which some Markov deterministic plan is best among all.

    Raises
    ------
    InvalidGame, UnknownName : not a policy of the game, another concept.
    """
    check_concept(concept)
    pi = game.check_policy(policy)
    values = np.empty((game.horizon + 1, game.n_players, game.n_states))
    values[-1] = game.terminal
    for h in range(game.horizon - 1, -1, -1):
        worth = game.continuation(h, values[h + 1])
        for s in range(game.n_states):
            shape, part = game.shape_at(s), game.pairs_at(s)
            q = pi[h, part].reshape(shape)
            for i in range(game.n_players):
                V = action_values(worth[i, part].reshape(shape), q, i)
                values[h, i, s] = V.sum(axis=0).max() if concept == "CCE" else V.max(axis=1).sum()
    return values


def markov_gap(game: FiniteMarkovGame, policy: npt.ArrayLike, concept: Correlated = "CCE") -> GapCertificate:
    """The exact gap of a Markov joint policy (H, K): the most that one player gains by a best deviation, from the initial
    distribution, or from the worst state where the game has none. By dynamic programming over the game alone; no program is solved.

    Raises
    ------
    InvalidGame, UnknownName : see ``deviation_values``.
    """
    gains = deviation_values(game, policy, concept)[0] - policy_values(game, policy)[0]
    if game.initial is None:
        i, s = (int(k) for k in np.unravel_index(int(np.argmax(gains)), gains.shape))
        gap, start = float(gains[i, s]), f'from state "{game.state_label(s)}"'
    else:
        earned = gains @ game.initial
        i = int(np.argmax(earned))
        gap, start = float(earned[i]), "from the initial distribution"
    gap = max(gap, 0.0)
    witness = Witness(game.player_label(i), "best deviation of all", gap, where=start) if gap > 0 else None
    return GapCertificate(concept, gap, gap, "exact", witness)
