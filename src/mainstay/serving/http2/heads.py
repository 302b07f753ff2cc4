"""The heads of a connection's calls: header blocks decoded and checked, those that come again remembered."""

from __future__ import annotations

from mainstay.serving.http2.header_decoder import HeaderDecoder
from mainstay.serving.http2.request_head import RequestHead, read_head, read_trailers
from mainstay.serving.status import Code

_MOST_KNOWN = 16


class Heads:
    """Reads the header blocks of one connection, in order.

    Args:
        most: The largest list of fields.

    Attributes:
        known: By their blocks, heads that mean the same for as long as the client's table stays as it is.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._decoder = HeaderDecoder(most)
        self.known: dict[bytes, RequestHead] = {}

    def read(self, block: bytes) -> RequestHead:
        """Return the head that a block describes.

        Raises:
            MalformedError: The fields are no request; the next block can be read all the same.
            ConnectionFaultError: The block is damaged.
        """
        changes = self._decoder.changes
        fields = self._decoder.decode(block)
        if fields is None:
            head = RequestHead("", {})
            message = f"received initial metadata size exceeds limit of {self._most} bytes"
            head.refusal = (200, Code.RESOURCE_EXHAUSTED, message, ())
        else:
            head = read_head(fields)
        if self._decoder.changes != changes:
            self.known.clear()
            return head
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        self.known[block] = head
        return head

    def read_trailers(self, block: bytes) -> None:
        """Check the fields that end a request; raises like `read`."""
        read_trailers(self._decode(block))

    def skip(self, block: bytes) -> None:
        """Read a block that nobody asks for, for what it does to the table."""
        self._decode(block)

    def _decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        changes = self._decoder.changes
        fields = self._decoder.decode(block)
        if self._decoder.changes != changes:
            self.known.clear()
        return fields or []
