"""Model files of the system ``bayesian_network``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.generators import GENERATORS
from eqsolve.bayesian_network.network import as_network
from eqsolve.driver import get_system
from eqsolve.errors import InvalidModelFile, unknown
from eqsolve.modelfile.fields import Names, Numbers, Real, Strict
from eqsolve.modelfile.generated import GeneratorPart, make_algorithm
from eqsolve.modelfile.packed import PackedPart, renamed
from eqsolve.modelfile.schema import NamedFile


def _agent(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidModelFile(f"is {value!r}, not an agent", "Write its number or its label.")
    return value


def _kind_of_lists(value: Any) -> str:
    return "<own>" if isinstance(value, list) and any(isinstance(one, list) for one in value) else "<shared>"


Agent = Annotated[Any, BeforeValidator(_agent)]
ActionNames = Annotated[
    Annotated[Names, Tag("<shared>")] | Annotated[tuple[Names, ...], Tag("<own>")], Discriminator(_kind_of_lists)
]
"""One list for all agents, or one per agent."""


class LabelledPart(Strict):
    """What every game given by its numbers has."""

    n_actions: Numbers
    gamma: Real
    initial: Numbers | None = None
    states: Names = ()
    agents: Names = ()
    actions: ActionNames = ()

    def make(self, transition: Any, reward: Any, name: str | None) -> CooperativeMarkovGame:
        """The game."""
        more: dict[str, Any] = {"initial": self.initial, "states": self.states, "agents": self.agents, "actions": self.actions}
        return CooperativeMarkovGame(self.n_actions, transition, reward, self.gamma, name=name or "cooperative game", **more)


class ArraysPart(LabelledPart):
    """``reward`` (S, m_1, ..., m_N) or (S, A), and ``transition`` with a last axis more, left out where there is one state."""

    reward: Numbers
    transition: Numbers | None = None

    def build(self, name: str | None) -> CooperativeMarkovGame:
        """Make the game."""
        return self.make(self.transition, self.reward, name)


class FactorPart(Strict):
    """``agents``, by number or label, and the ``table`` (S, m_agents...) of a reward or (S, m_agents..., S) of moves."""

    agents: tuple[Agent, ...]
    table: Numbers


class FactorsPart(Strict):
    """``rewards`` and ``moves``, each a list of factors that are summed; no ``moves`` where there is one state."""

    rewards: tuple[FactorPart, ...]
    moves: tuple[FactorPart, ...] = ()


class FactoredPart(LabelledPart):
    """``factors``: rewards and transitions as sums of tables over the actions of few agents."""

    factors: FactorsPart

    def build(self, name: str | None) -> CooperativeMarkovGame:
        """Make the game."""
        rewards, moves = (
            [(tuple(number_of(one, self.agents) for one in factor.agents), factor.table) for factor in listed]
            for listed in (self.factors.rewards, self.factors.moves)
        )
        return self.make(moves or None, rewards, name)


class StandardPart(GeneratorPart):
    """``generator``: a standard game or a random one; see ``eqsolve.bayesian_network.generators``."""

    def build(self, name: str | None) -> Any:
        """Generate."""
        return renamed(self.call(GENERATORS), name)


class PackedGamePart(PackedPart):
    """``npz``: a game that ``write_model`` wrote."""

    def build(self, name: str | None) -> Any:
        """The game."""
        return self.game_of("bayesian_network", name)


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((f"<{key}>" for key in ("generator", "npz", "factors") if key in value), "<arrays>")


class CooperativeFile(NamedFile):
    """A model file of a cooperative Markov game with a policy over a Bayesian network."""

    system: Literal["bayesian_network"]
    game: Annotated[
        Annotated[StandardPart, Tag("<generator>")]
        | Annotated[PackedGamePart, Tag("<npz>")]
        | Annotated[FactoredPart, Tag("<factors>")]
        | Annotated[ArraysPart, Tag("<arrays>")],
        Discriminator(_kind_of_game),
    ]

    def build(self) -> Any:
        """The game."""
        return self.game.build(self.name)

    def driver(self, game: Any) -> Any:
        """The algorithm; edges of its network may name the agents by their labels."""
        return make_algorithm(get_system(self.system), game, _numbered(self.algorithm, game))


def number_of(agent: Any, labels: Sequence[str]) -> Any:
    """The number of an agent given by its label; anything else as it is.

    Raises
    ------
    UnknownName : there is no such label.
    """
    if not isinstance(agent, str):
        return agent
    if agent not in labels:
        raise unknown("agent", agent, labels)
    return labels.index(agent)


def _numbered(part: Mapping[str, Any], game: CooperativeMarkovGame) -> dict[str, Any]:
    """The algorithm's part with numbers for labels in its network, and in that of a method inside it."""
    found = dict(part)
    for key, value in part.items():
        if isinstance(value, Mapping):
            if "name" not in value:
                raise InvalidModelFile(f"the algorithm under {key} has no name", f"Write {key}: {{name: LBFGS, lam: 0.01}}.")
            found[key] = _numbered(value, game)
        elif key == "network" and isinstance(value, tuple):
            edges = [tuple(number_of(one, game.agents) for one in edge) if isinstance(edge, tuple) else edge for edge in value]
            found[key] = as_network(edges, game.n_agents).edges
    return found
