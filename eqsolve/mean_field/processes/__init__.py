"""The processes that stand for a team of k agents: tuples, chains, relaxations."""
