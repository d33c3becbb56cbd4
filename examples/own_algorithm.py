"""A kind of game of one's own: the game, its certificate, two algorithms, and what the driver then does with them."""

from dataclasses import dataclass
from tempfile import TemporaryDirectory

import numpy as np

from eqsolve import Checkpoints, GapCertificate, Limits, ProgramBuilder, Result, Status, solve
from eqsolve.certificates import Witness
from eqsolve.driver import Algorithm, NothingReached, OneProgram, System, register


# The game: plain arrays.
@dataclass(frozen=True, eq=False)
class Cournot:
    """Firms sell one good at the price (top - all quantities); each chooses a quantity, up to its capacity, at its unit cost."""

    top: float
    cost: np.ndarray  # (n,)
    capacity: np.ndarray  # (n,)
    name: str = "cournot"


@dataclass(frozen=True, eq=False)
class Quantities:
    """The policy."""

    q: np.ndarray  # (n,)


# The certificate: from the game and the policy alone, and not by the code of any algorithm.
def profit(game, q):
    return (game.top - q.sum() - game.cost) * q


def certify(game, policy):
    """A firm's profit is a parabola in its own quantity, so its best deviation is known exactly."""
    others = policy.q.sum() - policy.q
    best = np.clip((game.top - others - game.cost) / 2.0, 0.0, game.capacity)
    gain = np.maximum((game.top - others - best - game.cost) * best - profit(game, policy.q), 0.0)
    i = int(gain.argmax())
    witness = Witness(f"firm {i}", f"{policy.q[i]:.4g} -> {best[i]:.4g}", float(gain[i])) if gain[i] > 0 else None
    return GapCertificate("NE", float(gain[i]), float(gain[i]), "exact", witness)


# An algorithm: its parameters and four methods.
@dataclass(frozen=True, eq=False)
class Round:
    """The state between two steps: everything the next step goes by."""

    q: np.ndarray
    change: float


@dataclass(frozen=True)
class BestResponses(Algorithm[Cournot, Round, Quantities]):
    """Firms answer one another, in a new random order in every round. Every answer raises one potential: it converges."""

    tolerance: float = 1e-6  # of the changes of a round, and of the gap

    def init(self, game, run):
        return Round(np.zeros_like(game.cost), float("inf"))

    def step(self, game, state, run):
        q = state.q.copy()
        for i in run.rng().permutation(len(q)):
            others = q.sum() - q[i]
            q[i] = min(max(0.5 * (game.top - game.cost[i] - others), 0.0), game.capacity[i])
        change = float(np.abs(q - state.q).max())
        return Round(q, change), {"change": change, "sold": float(q.sum())}

    def done(self, game, state):
        return Status.CONVERGED if state.change <= self.tolerance else None

    def finish(self, game, state, run):
        if not np.isfinite(state.change):
            raise NothingReached("no round was played", "Give more iterations.")
        return Quantities(state.q)

    def objection(self, result):
        return "" if result.gap.holds(self.tolerance) else f"a firm gains {result.gap.upper:.3g}"


# An algorithm whose one step is to answer one program: build it, read the policy off its point.
@dataclass(frozen=True)
class PotentialProgram(OneProgram[Cournot, Quantities]):
    """The equilibrium as a quadratic program: a change of one firm's quantity changes its objective as it changes the profit."""

    def build(self, game):
        n = len(game.cost)
        builder = ProgramBuilder("potential", sense="max")
        q = builder.columns("q", n, axes=("firm",), upper=game.capacity)
        builder.objective(q, game.top - game.cost)
        builder.quadratic(q, q, -np.eye(n) - 1.0)
        return builder.build()

    def read(self, game, outcome):
        return Quantities(np.clip(outcome.x, 0.0, game.capacity))


# The registration: what the driver needs to know of the kind of game.
COURNOT = register(
    System(
        name="cournot",
        game=Cournot,
        algorithms=(BestResponses, PotentialProgram),
        describe=lambda game: f"{len(game.cost)} firms",
        certify=certify,
        value=lambda game, policy: float(profit(game, policy.q).sum()),
        value_name="profit",
    )
)

if __name__ == "__main__":
    game = Cournot(100.0, np.linspace(10.0, 60.0, 8), np.full(8, 12.0))
    result = solve(game, seed=1)
    print(result)
    print(solve(game, PotentialProgram(), backend="cvxpy:CLARABEL"))
    print(solve(game, PotentialProgram()).program())

    # A budget, a checkpoint, and the rest of the run: the same as the uninterrupted one, bit for bit.
    with TemporaryDirectory() as folder:
        part = solve(game, seed=1, limits=Limits(iterations=5), checkpoint=folder)
        print(part.status)
        rest = solve(game, seed=1, checkpoint=Checkpoints(folder, resume=True))
        assert rest.policy.q.tobytes() == result.policy.q.tobytes()
        assert rest.history.equals(result.history)

        rest.save(folder)
        again = Result.load(folder)
        assert again.recertified() == rest.gap
