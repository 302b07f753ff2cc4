"""TF Serving's `monitoring_config_file`: whether and where its metrics are served."""

from __future__ import annotations

import os

from mainstay.core import FormatError
from mainstay.serving.operations.tensorflow_metrics import PATH
from mainstay.serving.operations.text_protos import read_text_proto


def read_monitoring_config(path: str | os.PathLike[str]) -> str | None:
    """Return the path on which TF Serving's metrics are to be served; None where the file does not ask for them.

    Args:
        path: A `MonitoringConfig` in text form, such as ``prometheus_config { enable: true }``.

    Raises:
        StorageError: It cannot be read.
        FormatError: It is no such file, or its path is none.
    """
    config = read_text_proto(path, "tensorflow.serving.MonitoringConfig").prometheus_config
    if not config.enable:
        return None
    found = str(config.path) or PATH
    if not is_page_path(found):
        raise FormatError("metrics cannot be served there", where=path, expected=PATH, received=found)
    return found


def is_page_path(path: str) -> bool:
    """Whether a page can be served at a path."""
    return path.startswith("/") and path.isascii() and path.isprintable() and not set(path) & set(" ?#%")
