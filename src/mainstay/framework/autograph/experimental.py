"""The names of TensorFlow's `tf.autograph.experimental`."""

from mainstay.framework.autograph.conversion import do_not_convert
from mainstay.framework.autograph.loops import set_loop_options

__all__ = ["do_not_convert", "set_loop_options"]
