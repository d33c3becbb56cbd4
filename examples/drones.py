"""Two drones search a grid: what does it help that the second one sees where the first one flies?"""

import eqsolve
from eqsolve.bayesian_network import AgentwiseBarrierIteration, BarrierPolicyIteration, search_mission

game = search_mission(drones=2, width=3, height=3, gamma=0.9, collision=1.0, seed=0)
alone = eqsolve.solve(game, AgentwiseBarrierIteration("product", lam=0.05))
seeing = eqsolve.solve(game, BarrierPolicyIteration("dense", lam=0.05))
print(alone)
print(seeing)

for name, result in (("apart", alone), ("seeing each other", seeing)):
    short, alone_gain = result.optimality.upper, result.gap.upper
    print(f"{name}: value {result.value:.4f}, {short:.4f} below the best; no drone gains more than {alone_gain:.4f} alone")

# The policy of drone 1 where both hover over the same cell, for every move of drone 0.
state = game.states.index("11/11")
for move, row in zip(game.actions[0], seeing.policy.tables[1][state], strict=True):
    print(f"drone 0 goes {move:<5}  drone 1: " + ", ".join(f"{to} {p:.2f}" for to, p in zip(game.actions[1], row, strict=True)))
