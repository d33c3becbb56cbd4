"""A game with payoffs of one's own: a function, with one's word on its Lipschitz constant."""

import numpy as np

from eqsolve import solve
from eqsolve.aggregative import AggregativeGame, CallablePayoffs

n = 200
taste = np.random.default_rng(0).uniform(0.0, 1.0, n)


def payoff(columns, x):
    """Column 2 i is player i staying home, column 2 i + 1 player i going out; x is the share of players who go out."""
    player, out = np.divmod(columns, 2)
    return out * (taste[player] - np.sin(x[:, 0]) ** 2)


game = AggregativeGame(
    n_actions=np.full(n, 2),
    contribution=np.tile([[0.0], [1.0 / n]], (n, 1)),
    payoff=CallablePayoffs(payoff, lipschitz=1.0, n_columns=2 * n, n_coordinates=1),  # |d sin(x)^2 / dx| = |sin 2x| <= 1
    actions=("home", "out") * n,
    name="going out",
)
print(f"largest ratio of change to allowed change, by sampling: {game.check_lipschitz():.3f}")
print(solve(game))
