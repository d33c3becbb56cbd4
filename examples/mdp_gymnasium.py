"""The frozen lake of Gymnasium: its kernel as a process, an optimal policy with proof, and the same policy played there.

Needs the extra: pip install 'eqsolve[gymnasium]'
"""

import gymnasium
import numpy as np

from eqsolve import solve
from eqsolve.mdp import from_gymnasium, occupancy_program

env = gymnasium.make("FrozenLake-v1", map_name="4x4")
lake = from_gymnasium(env, gamma=0.99)
result = solve(lake)
print(result)
print(occupancy_program(lake))

choice = result.policy.choice(lake)  # one action number per state; the last state is the end
print("\n".join(" ".join("<v>^"[a] for a in row) for row in choice[:-1].reshape(4, 4)))

# Play it: the mean discounted return is near the value.
returns = []
for seed in range(500):
    state, _ = env.reset(seed=seed)
    discounted, weight, over = 0.0, 1.0, False
    while not over:
        state, reward, terminated, truncated, _ = env.step(int(choice[state]))
        discounted, weight, over = discounted + weight * float(reward), weight * lake.gamma, terminated or truncated
    returns.append(discounted)
print(f"played: {np.mean(returns):.3f} +- {2 * np.std(returns) / np.sqrt(len(returns)):.3f}, value {result.value:.3f}")
