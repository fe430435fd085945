"""Policies for inventory networks, trained by pathwise gradients."""
