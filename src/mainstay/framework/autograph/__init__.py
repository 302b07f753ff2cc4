"""Autograph: Python's control flow on traced values becomes XLA's."""

from mainstay.framework.autograph import experimental
from mainstay.framework.autograph.calls import convert
from mainstay.framework.autograph.conversion import do_not_convert, to_code
from mainstay.framework.autograph.loops import set_loop_options

__all__ = ["convert", "do_not_convert", "experimental", "set_loop_options", "to_code"]
