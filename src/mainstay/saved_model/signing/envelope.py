"""The envelope: a statement with its signature, as a Sigstore bundle around a DSSE envelope."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from mainstay.core import SignatureError
from mainstay.saved_model.signing.keys import PrivateKey
from mainstay.saved_model.signing.statement import PAYLOAD_TYPE, Statement, strict_json

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True)
class Envelope:
    """A signed payload, not yet verified.

    Args:
        payload: What was signed.
        signature: The signature, in DER.
        key: The `PublicKey.id` that the signer named, or empty: a hint, which proves nothing.
    """

    payload: bytes
    signature: bytes
    key: str

    @property
    def message(self) -> bytes:
        """What the signature is of: the payload with its type and length in front, as DSSE has it."""
        return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(self.payload), self.payload)

    def to_bytes(self) -> bytes:
        """Return the envelope as the content of a signature file."""
        value = {
            "mediaType": _MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": self.key}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(self.signature).decode(), "keyid": ""}],
            },
        }
        return (json.dumps(value, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Envelope:
        """Return the envelope of a signature file.

        Raises:
            SignatureError: It is malformed, or holds another kind of signature.
        """
        value = strict_json(data, "the signature")
        try:
            envelope, material = value["dsseEnvelope"], value["verificationMaterial"]
            media, kind = value["mediaType"], envelope["payloadType"]
            (signature,) = envelope["signatures"]
            payload = base64.b64decode(envelope["payload"], validate=True)
            sealed = base64.b64decode(signature["sig"], validate=True)
            hint = material["publicKey"].get("hint") or ""
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise SignatureError(
                "the signature is malformed, or was not made with a key",
                expected="a Sigstore bundle with a public key and one signature",
                received=f"{type(error).__name__}: {error}",
            ) from error
        if media != _MEDIA_TYPE or kind != PAYLOAD_TYPE or not isinstance(hint, str):
            raise SignatureError(
                "the signature is of another kind",
                expected=f"{_MEDIA_TYPE} with {PAYLOAD_TYPE}",
                received=f"{media} with {kind}",
            )
        return cls(payload, sealed, hint)


def seal(statement: Statement, key: PrivateKey) -> Envelope:
    """Return a statement signed with a key."""
    unsigned = Envelope(statement.to_bytes(), b"", key.public.id)
    return Envelope(unsigned.payload, key.sign(unsigned.message), key.public.id)
