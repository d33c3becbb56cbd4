"""Benchmarks: ``python -m benchmarks`` runs the registered cases side by side with their peers."""
