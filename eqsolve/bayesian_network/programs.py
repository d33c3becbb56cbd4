"""The explicit programs of a cooperative game, by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.bayesian_network.barrier import LARGEST, barrier_rows_program
from eqsolve.bayesian_network.central_path import central_path_program
from eqsolve.bayesian_network.factors import in_words
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.objective import barrier_weight
from eqsolve.errors import InvalidGame, unknown
from eqsolve.mdp import occupancy_program, value_program
from eqsolve.programs import Program


def barrier_program(game: CooperativeMarkovGame, lam: float) -> Program:
    r"""L_lambda over dense networks as one concave program, where visits do not depend on the policy.

    .. math:: \max_{\pi(\cdot \mid s) \in \Delta}\ \sum_s d(s) \sum_a r(s, a)\, \pi(a \mid s)
              + \lambda \Big( \frac{1}{|S| |\mathcal A|} \sum_{s,a} \log \pi(a \mid s) + \log |\mathcal A| \Big)

    With one state d = 1 / (1 - gamma), with gamma = 0 it is the initial distribution; elsewhere L_lambda is not concave.

    Returns
    -------
    Program of kind EXP, whose optimum is the largest L_lambda; see ``barrier_rows_program``.

    Raises
    ------
    InvalidGame : several states and gamma > 0; the joint space is too large. InvalidData : lambda is not above 0.
    """
    weight, S = barrier_weight(lam), game.n_states
    if S > 1 and game.gamma > 0:
        raise InvalidGame(
            f"the barrier objective of a game with {S} states and discount {game.gamma:g} is not concave",
            "Ask for the program 'central-path', which puts the barrier on the visits and is.",
        )
    if S * game.n_joint > LARGEST:
        raise InvalidGame(f"the program would have {in_words(S * game.n_joint)} cones", f"At most {LARGEST:,} are built.")
    reward = game.joint_reward().reshape(S, -1)
    gain = game.initial[:, None] / (1.0 - game.gamma) * reward
    A = reward.shape[1]
    labels = tuple(game.state_label(s) for s in range(S))
    offset = weight * float(np.log(A))
    return barrier_rows_program(gain, np.full(S, weight / (S * A)), name="barrier objective", offset=offset, rows=labels)


def named_program(game: CooperativeMarkovGame, lam: float, *which: Any) -> Program:
    """A program of a game by its name.

    ``"occupancy"`` : the linear program over visits of joint actions, whose optimum is the best value. ``"value"`` : its dual.
    ``"barrier"`` : see ``barrier_program``. ``"central-path"``, ``"entropy"`` : see ``central_path_program``. Without a name: the
    barrier program where it is concave, else the central path.

    Raises
    ------
    UnknownName : another name. InvalidGame : the game is too large, or not of the kind.
    """
    known = {
        "barrier": lambda: barrier_program(game, lam),
        "central-path": lambda: central_path_program(game, lam),
        "entropy": lambda: central_path_program(game, lam, "entropy"),
        "occupancy": lambda: occupancy_program(game.joint_mdp()),
        "value": lambda: value_program(game.joint_mdp()),
    }
    name = ":".join(map(str, which)) or ("barrier" if game.n_states == 1 or game.gamma == 0 else "central-path")
    if name not in known:
        raise unknown("program", name, known)
    return known[name]()
