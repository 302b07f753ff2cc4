"""`function`: Python over Keras variables, traced once per kind of arguments and run as one XLA program."""

from mainstay.framework.functions.function import Function, function

__all__ = ["Function", "function"]
