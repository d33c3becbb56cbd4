"""A machine that wears out: the best maintenance, the best with few services, and what one more service would be worth."""

from eqsolve import solve
from eqsolve.mdp import FiniteMDP, InfeasibleMDP, LinearConstraint, optimality_gap, solve_constrained

# One row per state and action: new (slow, fast), worn (run on, service), broken (replace).
machine = FiniteMDP(
    n_actions=[2, 2, 1],
    transition=[[0.95, 0.05, 0.0], [0.7, 0.3, 0.0], [0.0, 0.6, 0.4], [0.9, 0.1, 0.0], [1.0, 0.0, 0.0]],
    reward=[5.0, 8.0, 6.0, 1.0, -2.0],
    gamma=0.95,
    initial="new",
    states=["new", "worn", "broken"],
    actions=["slow", "fast", "run on", "service", "replace"],
    name="machine",
)
print(solve(machine))

# At most 2 services, discounted as the rewards are.
services = LinearConstraint([0.0, 0.0, 0.0, 1.0, 0.0], upper=2.0, name="services")
best = solve_constrained(machine, [services])
print()
print(best.program)
print(best.program.row("constraint", "services"))
print(best.certificate)
print(f"value {best.value:.4f}, services {best.totals['services']:.4f}, one more is worth {best.multipliers['services']:.4f}")
for s, state in enumerate(machine.states):
    pairs = range(machine.first[s], machine.first[s + 1])
    print(f"  {state}: " + ", ".join(f"{machine.action_label(k)} {best.policy[k]:.3f}" for k in pairs))
print(f"what the constraint costs: {optimality_gap(machine, best.policy)}")

# A constraint that cannot be kept is named, with a proof.
try:
    solve_constrained(machine, [services, LinearConstraint(machine.reward, lower=125.0, name="profit")])
except InfeasibleMDP as error:
    print(error)
