"""Keras' loops of `fit`, `evaluate` and `predict` with less Python between two steps; what they compute is the same."""
