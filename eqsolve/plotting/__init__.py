"""Figures of what the systems compute, as matplotlib figures without any window: ``figure.savefig`` writes them."""
