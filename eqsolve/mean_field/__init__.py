"""Mean-field subsampling: one global agent who sees k of n exchangeable local agents."""

from eqsolve.mean_field.alternating_marl import AlternatingMARL, authors_code
from eqsolve.mean_field.bounds import (
    alternations,
    eta,
    eta_exceeds_values,
    first_useful_k,
    global_gap,
    nash_gap_promised,
    sampled_global_gap,
    stochastic_global_gap,
)
from eqsolve.mean_field.certificate import policy_value, surrogate_gap
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.generators import demand_response, federated, random_game, warehouse
from eqsolve.mean_field.global_step import GlobalStep, evaluate_global, solve_global
from eqsolve.mean_field.histograms import Histograms
from eqsolve.mean_field.initial import InitialLaw
from eqsolve.mean_field.learning.noisy_learning import learn_noisy
from eqsolve.mean_field.learning.q_learning import QLearning, learn_global
from eqsolve.mean_field.learning.ucfh import UCFH, learn_episodic
from eqsolve.mean_field.local_step import LocalStep, solve_local
from eqsolve.mean_field.online.agents import simulate_agents
from eqsolve.mean_field.online.execution import Estimate, Rollouts, estimate, simulate
from eqsolve.mean_field.operators.lift import Lift
from eqsolve.mean_field.policy import InvalidPolicy, SubsampledPolicy, uniform_policy
from eqsolve.mean_field.population import population_bound, population_gap
from eqsolve.mean_field.processes.chained import chained_mdp, chained_response
from eqsolve.mean_field.processes.relaxations import full_information_mdp, joint_mdp
from eqsolve.mean_field.processes.surrogate import surrogate_mdp
from eqsolve.mean_field.processes.tuples import parameterisation, tuple_mdp
from eqsolve.mean_field.programs import occupancy_program, optimistic_program
from eqsolve.mean_field.rewards import StochasticReward
from eqsolve.mean_field.sample_bounds import (
    bellman_noise,
    iterations,
    local_samples,
    reward_draws,
    reward_noise,
    samples_needed,
)
from eqsolve.mean_field.sampled import solve_sampled
from eqsolve.mean_field.two_level import TwoLevel

__all__ = [
    "UCFH",
    "AlternatingMARL",
    "Estimate",
    "GlobalLocalGame",
    "GlobalStep",
    "Histograms",
    "InitialLaw",
    "InvalidPolicy",
    "Lift",
    "LocalStep",
    "QLearning",
    "Rollouts",
    "StochasticReward",
    "SubsampledPolicy",
    "TwoLevel",
    "alternations",
    "authors_code",
    "bellman_noise",
    "chained_mdp",
    "chained_response",
    "demand_response",
    "estimate",
    "eta",
    "eta_exceeds_values",
    "evaluate_global",
    "federated",
    "first_useful_k",
    "full_information_mdp",
    "global_gap",
    "iterations",
    "joint_mdp",
    "learn_episodic",
    "learn_global",
    "learn_noisy",
    "local_samples",
    "nash_gap_promised",
    "occupancy_program",
    "optimistic_program",
    "parameterisation",
    "policy_value",
    "population_bound",
    "population_gap",
    "random_game",
    "reward_draws",
    "reward_noise",
    "sampled_global_gap",
    "samples_needed",
    "simulate",
    "simulate_agents",
    "solve_global",
    "solve_local",
    "solve_sampled",
    "stochastic_global_gap",
    "surrogate_gap",
    "surrogate_mdp",
    "tuple_mdp",
    "uniform_policy",
    "warehouse",
]
