"""The C library, which is optional: how it is found, and how its functions are declared (see `library.py`)."""

from mainstay.core.native.library import ADDRESS, address_of, native_function, native_library, without_native

__all__ = ["ADDRESS", "address_of", "native_function", "native_library", "without_native"]
