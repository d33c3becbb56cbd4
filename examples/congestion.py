"""A thousand drivers, three roads: solve, look at the gap, then at the program behind it."""

from eqsolve import AggregativeNash, solve
from eqsolve.aggregative import congestion

game = congestion(players=1000, roads=3, seed=0)
result = solve(game)
print(result)

print()
print(result.program())  # the stage program of the best cell
print(result.program().row("aggregator", "road 1"))

print()
coarse = AggregativeNash(tolerance="existence", cells=20)  # coarser cells: fewer of them, a larger gap
print(solve(game, coarse, backend="highs"))
