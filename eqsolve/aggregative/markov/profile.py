"""Pure Markov profiles: who plays what, where, when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.arrays import IntArray, frozen, int_array
from eqsolve.errors import InvalidData, InvalidGame


@dataclass(frozen=True, slots=True, eq=False)
class MarkovProfile:
    """One action per step, state and player: (H, S, n), in int32.

    Raises
    ------
    InvalidData : not three axes of whole numbers of at least 0.
    """

    actions: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        actions = self.actions
        if not (isinstance(actions, np.ndarray) and actions.dtype == np.int32 and actions.ndim == 3):
            actions = int_array("actions", actions, (None, None, None)).astype(np.int32)
        if actions.size and actions.min() < 0:
            h, s, i = (int(one) for one in np.argwhere(actions < 0)[0])
            raise InvalidData(f"actions[h={h}, s={s}, i={i}] is {actions[h, s, i]}")
        object.__setattr__(self, "actions", frozen(actions, self.actions))


def check_profile(game: AggregativeMarkovGame, profile: MarkovProfile) -> npt.NDArray[np.int32]:
    """The actions (H, S, n) of a profile, checked against a game.

    Raises
    ------
    InvalidGame : another shape, or an action that a player does not have; the message names step, state and player.
    """
    actions = profile.actions
    shape = (game.horizon, game.n_states, game.n_players)
    if actions.shape != shape:
        raise InvalidGame(f"the profile has the shape {actions.shape}, not (steps, states, players) = {shape}")
    have: IntArray = game.n_actions[game.player_types]
    if (actions >= have).any():
        h, s, i = (int(one) for one in np.argwhere(actions >= have)[0])
        raise InvalidGame(f"actions[h={h}, s={s}, i={i}] is {actions[h, s, i]}; {game.player_label(i)} has {have[i]} actions")
    return actions
