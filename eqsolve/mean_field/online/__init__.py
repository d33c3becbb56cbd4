"""Playing a policy among all n agents."""
