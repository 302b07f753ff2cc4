"""The names of `tf.summary.experimental`: the default step."""

from mainstay.summary.state import get_step, set_step

__all__ = ["get_step", "set_step"]
