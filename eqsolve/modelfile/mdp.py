"""Model files of the system ``mdp``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo

from eqsolve.errors import BackendUnavailable, InvalidModelFile
from eqsolve.mdp import FiniteMDP, InvalidMDP
from eqsolve.mdp.generators import forest, grid_world, random_mdp
from eqsolve.modelfile.fields import Names, Numbers, Real, Strict, Whole, array
from eqsolve.modelfile.generated import GeneratorPart, Parameters
from eqsolve.modelfile.moves import MovesPart
from eqsolve.modelfile.packed import PackedPart, renamed
from eqsolve.modelfile.schema import NamedFile


def _start(value: Any, info: ValidationInfo) -> Any:
    """A distribution, or the number or label of a state."""
    return array(value, info) if isinstance(value, list | dict) else value


class BeginningPart(Strict):
    """What every process has: ``gamma`` or ``horizon``, and ``initial`` (a distribution, or the number or label of a state)."""

    gamma: Real | None = None
    horizon: Whole | None = None
    initial: Annotated[Any, BeforeValidator(_start)] = None


class LengthPart(BeginningPart):
    """``terminal``: values of the states after the last step."""

    terminal: Numbers | None = None

    def length(self, name: str | None) -> dict[str, Any]:
        """The parameters that all ways to give a process share."""
        more = {"gamma": self.gamma, "horizon": self.horizon, "initial": self.initial, "terminal": self.terminal}
        return more | ({} if name is None else {"name": name})


class ArraysPart(LengthPart):
    """The arrays of ``FiniteMDP``.

    Without ``n_actions``: ``transition`` (S, A, S), ``reward`` (S, A) and, where not every state has every action, ``available``
    (S, A) of 0 and 1; with ``n_actions`` (S,): ``transition`` (K, S) and ``reward`` (K,) over the K state-action pairs. With a
    horizon all may have a leading axis of steps.
    """

    transition: Numbers
    reward: Numbers
    n_actions: Numbers | None = None
    available: Numbers | None = None
    states: Names = ()
    actions: Names = ()

    def build(self, name: str | None) -> FiniteMDP:
        """Make the process."""
        more = self.length(name) | {"states": self.states, "actions": self.actions}
        if self.n_actions is None:
            mask = None if self.available is None else self.available != 0
            return FiniteMDP.from_arrays(self.transition, self.reward, available=mask, **more)
        if self.available is not None:
            raise InvalidModelFile("both of n_actions and available are given", "With n_actions the pairs are listed one by one.")
        kernel = list(self.transition) if self.transition.ndim == 3 else self.transition
        return FiniteMDP(self.n_actions, kernel, self.reward, **more)


class MovesGamePart(LengthPart):
    """``moves``: a table with one row per state, action and next state."""

    moves: MovesPart

    def build(self, name: str | None) -> FiniteMDP:
        """Make the process."""
        return self.moves.process(self.length(name))


class GymnasiumPart(BeginningPart):
    """``gymnasium``: the name of an environment with a known kernel; ``options`` go to ``gymnasium.make``."""

    gymnasium: str
    options: Parameters = Field(default_factory=dict)

    def build(self, name: str | None) -> Any:
        """Ask the environment for its kernel."""
        from eqsolve.mdp.interop import from_gymnasium

        try:
            import gymnasium
        except ImportError as cause:
            raise BackendUnavailable("gymnasium is not installed", "pip install 'eqsolve[gymnasium]'") from cause
        try:
            env = gymnasium.make(self.gymnasium, **self.options)
        except (gymnasium.error.Error, TypeError) as cause:
            raise InvalidModelFile(f"gymnasium cannot make {self.gymnasium!r}: {cause}") from cause
        process = from_gymnasium(env, self.gamma, horizon=self.horizon, name=name or self.gymnasium)
        return process if self.initial is None else process.with_initial(self.initial)


@wraps(grid_world)
def _grid_world(**given: Any) -> FiniteMDP:
    """Goals are lists [row, column, reward] in a file, which has no tuples for keys."""
    goals = given.pop("goals", None)
    if goals is None:
        return grid_world(**given)
    if not isinstance(goals, list) or any(not isinstance(one, list) or len(one) != 3 for one in goals):
        raise InvalidMDP(f"goals is {goals!r}", "Write one list [row, column, reward] per goal: [[3, 3, 1.0], [1, 3, -1.0]].")
    return grid_world(**given, goals={(row, column): reward for row, column, reward in goals})


GENERATORS: dict[str, Callable[..., Any]] = {"forest": forest, "grid_world": _grid_world, "random_mdp": random_mdp}
"""Standard processes by name."""


class StandardPart(GeneratorPart):
    """``generator``: a textbook process or a random one; see ``eqsolve.mdp.generators``."""

    def build(self, name: str | None) -> Any:
        """Generate."""
        return renamed(self.call(GENERATORS), name)


class PackedGamePart(PackedPart):
    """``npz``: a process that ``write_model`` wrote."""

    def build(self, name: str | None) -> Any:
        """The process."""
        return self.game_of("mdp", name)


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    kinds = {key: f"<{key}>" for key in ("generator", "gymnasium", "moves", "npz")}
    return next((tag for key, tag in kinds.items() if key in value), "<arrays>")


class MDPFile(NamedFile):
    """A model file of a finite Markov decision process."""

    system: Literal["mdp"]
    game: Annotated[
        Annotated[StandardPart, Tag("<generator>")]
        | Annotated[GymnasiumPart, Tag("<gymnasium>")]
        | Annotated[MovesGamePart, Tag("<moves>")]
        | Annotated[PackedGamePart, Tag("<npz>")]
        | Annotated[ArraysPart, Tag("<arrays>")],
        Discriminator(_kind_of_game),
    ]

    def build(self) -> Any:
        """The process."""
        return self.game.build(self.name)
