"""The save report: in which form TensorFlow gets each signature, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FORMS = ("ops", "xla")
"""How `saved_model.pb` can hold a signature: plain operations of TensorFlow, or one XlaCallModule."""


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What TensorFlow gets of one signature.

    Args:
        form: ``"ops"``: operations that every TensorFlow runs; ``"xla"``: one XlaCallModule, which TF Serving runs only
            with ``--xla_cpu_compilation_enabled``, and TF.js not at all; None: nothing.
        reason: Why it is not ``"ops"``, or what else is worth knowing.
    """

    form: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SaveReport:
    """What TensorFlow gets of an artifact.

    Args:
        signatures: A report by the name of each signature; empty where no `saved_model.pb` was wanted.

    Example:
        >>> print(SaveReport({"serving_default": SignatureReport("ops")}))
        serving_default: plain TensorFlow operations
    """

    signatures: Mapping[str, SignatureReport]

    def __str__(self) -> str:
        if not self.signatures:
            return "without a saved_model.pb for TensorFlow"
        words = {"ops": "plain TensorFlow operations", "xla": "one XlaCallModule", None: "not for TensorFlow"}
        return "\n".join(
            f"{name}: {words[item.form]}" + (f" ({item.reason})" if item.reason else "")
            for name, item in self.signatures.items()
        )
