"""Mainstay: the production line for machine learning, in one package, on JAX and Keras 3."""

__version__ = "0.1.0"
