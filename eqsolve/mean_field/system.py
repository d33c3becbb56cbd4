"""Mean-field games under subsampling, wired for the driver."""

from __future__ import annotations

from eqsolve.driver import System
from eqsolve.mean_field.alternating_marl import AlternatingMARL
from eqsolve.mean_field.certificate import surrogate_gap
from eqsolve.mean_field.game import GlobalLocalGame, describe
from eqsolve.mean_field.learning.q_learning import QLearning
from eqsolve.mean_field.two_level import two_level_value

SEEN = 5
"""Local agents that are seen by default, where there are so many."""


def _default(game: GlobalLocalGame) -> AlternatingMARL:
    return AlternatingMARL(min(SEEN, game.n))


MEAN_FIELD = System(
    name="mean_field",
    game=GlobalLocalGame,
    algorithms=(AlternatingMARL, QLearning),
    describe=describe,
    certify=surrogate_gap,
    value=two_level_value,
    default=_default,
)
