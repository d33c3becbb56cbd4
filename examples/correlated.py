"""Aumann's game of chicken: what a mediator can reach, and how one sees that nobody would rather ignore the mediator."""

from eqsolve.normal_form import chicken, correlated_equilibrium, pure_nash

game = chicken()
print(f"best pure Nash equilibrium   {game.profile_label(pure_nash(game).profile)}, welfare {pure_nash(game).value:g}")

best = correlated_equilibrium(game)
print(best)
print(best.certificate)

print()
print(best.program())
print(best.program().row("incentive", "row", "yield", "dare"))

print()
print(correlated_equilibrium(game, "CE", "max_entropy"))
print(correlated_equilibrium(game, "CCE", ("player", "row"), sense="min"))
