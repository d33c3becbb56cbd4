"""The expectation over where k agents go, and what iterates with it."""
