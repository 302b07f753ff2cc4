"""The fingerprint of a SavedModel: hashes of its parts, from which TensorFlow's tools tell models apart."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from mainstay.core import message_class
from mainstay.hostops import fingerprint64

_PRODUCER = 1


def fingerprint(meta_graph: Any, content: bytes, index: bytes) -> bytes:
    """Return the content of `fingerprint.pb`.

    TensorFlow takes the hashes of graph, signatures and objects after it has removed what differs between two runs of
    its own tracing. There is nothing of that kind here, so they are those of the messages as they are stored. The UUID
    follows from the content, so that the same model has the same one.

    Args:
        meta_graph: The MetaGraphDef.
        content: The content of `saved_model.pb`.
        index: The content of the index of the weights.
    """
    made = message_class("tensorflow.FingerprintDef")()
    made.saved_model_checksum = fingerprint64(content)
    made.graph_def_program_hash = fingerprint64(meta_graph.graph_def.SerializeToString(deterministic=True))
    signatures = sorted(meta_graph.signature_def)
    parts = [meta_graph.signature_def[name].SerializeToString(deterministic=True) for name in signatures]
    made.signature_def_hash = fingerprint64(b"".join(parts))
    made.saved_object_graph_hash = fingerprint64(meta_graph.object_graph_def.SerializeToString(deterministic=True))
    made.checkpoint_hash = fingerprint64(index)
    digest = hashlib.sha256(content + index).digest()
    made.uuid = str(uuid.UUID(bytes=digest[:16], version=4))
    made.version.producer = _PRODUCER
    return bytes(made.SerializeToString(deterministic=True))
