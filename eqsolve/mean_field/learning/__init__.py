"""Learning from draws instead of planning: Q-learning, stochastic rewards, UCFH."""
