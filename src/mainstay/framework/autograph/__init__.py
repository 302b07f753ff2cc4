"""Autograph: Python's control flow on traced values becomes XLA's."""
