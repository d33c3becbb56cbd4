"""Model files of the system ``markov_game``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from eqsolve.errors import InvalidModelFile
from eqsolve.modelfile.fields import Names, Numbers, Strict, Whole
from eqsolve.modelfile.packed import PackedPart
from eqsolve.modelfile.schema import NamedFile
from eqsolve.normal_form.markov import FiniteMarkovGame


class ArraysPart(Strict):
    """The arrays of ``FiniteMarkovGame``.

    Without ``n_actions``: ``transition`` (S, m_1, ..., m_N, S) and ``reward`` (N, S, m_1, ..., m_N), both possibly with a leading
    axis of steps. With ``n_actions`` (S, N): ``transition`` (K, S) and ``reward`` (N, K) or (H, N, K) over the K pairs of a state
    and a joint action. ``transition`` may be left out where there is one state: the game is repeated.
    """

    horizon: Whole
    reward: Numbers
    transition: Numbers | None = None
    n_actions: Numbers | None = None
    initial: Numbers | None = None
    terminal: Numbers | None = None
    players: Names = ()
    states: Names = ()

    def build(self, name: str | None) -> FiniteMarkovGame:
        """Make the game."""
        more: dict[str, Any] = {"initial": self.initial, "players": self.players, "states": self.states}
        more |= {"terminal": 0.0 if self.terminal is None else self.terminal, "name": name or "Markov game"}
        if self.n_actions is not None:
            if self.transition is None:
                raise InvalidModelFile("the key game.transition is missing", "One distribution over the states per joint pair.")
            return FiniteMarkovGame(self.n_actions, self.transition, self.reward, self.horizon, **more)
        return FiniteMarkovGame.from_arrays(self._kernel(), self.reward, self.horizon, **more)

    def _kernel(self) -> Any:
        if self.transition is not None:
            return self.transition
        shape = self.reward.shape
        if len(shape) < 3 or shape[0] != len(shape) - 2 or shape[1] != 1:
            raise InvalidModelFile("the key game.transition is missing", "It may be left out only where there is one state.")
        return self.reward[0, ..., None] * 0.0 + 1.0


class PackedGamePart(PackedPart):
    """``npz``: a game that ``write_model`` wrote."""

    def build(self, name: str | None) -> Any:
        """The game."""
        return self.game_of("markov_game", name)


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return "<npz>" if "npz" in value else "<arrays>"


class MarkovGameFile(NamedFile):
    """A model file of a finite Markov game."""

    system: Literal["markov_game"]
    game: Annotated[
        Annotated[PackedGamePart, Tag("<npz>")] | Annotated[ArraysPart, Tag("<arrays>")],
        Discriminator(_kind_of_game),
    ]

    def build(self) -> Any:
        """The game."""
        return self.game.build(self.name)
