"""The check of a signature's method name, which TF Serving makes only where it is asked to."""

from __future__ import annotations

from mainstay.core import RequestError, ServerError
from mainstay.serving.examples import CLASSIFY_METHOD, PREDICT_METHOD, REGRESS_METHOD
from mainstay.serving.models.snapshot import Endpoint

_EXPECTED = {"classify": ("classification", CLASSIFY_METHOD), "regress": ("regression", REGRESS_METHOD)}
_ALL = (PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD)


def check_method(endpoint: Endpoint, action: str) -> None:
    """Refuse a signature that is not meant for what is asked of it.

    Args:
        endpoint: The signature.
        action: ``predict``, ``classify`` or ``regress``; any signature may predict.

    Raises:
        RequestError: It is meant for something else.
        ServerError: It is meant for nothing that is known.
    """
    method = endpoint.method
    if action == "predict":
        if method not in _ALL:
            raise ServerError(
                f"Expected prediction signature method_name to be one of {{{', '.join(_ALL)}}}. Was: {method}"
            )
        return
    kind, expected = _EXPECTED[action]
    if method != expected:
        raise RequestError(f"Expected {kind} signature method_name to be {expected}. Was: {method}")
