"""The wire: requests and replies both ways, errors with their kind, and an end when the other side is gone."""

import asyncio
import socket
import struct

import pytest

from mainstay.core import ArgumentError, MainstayError, UnavailableError
from mainstay.serving.processes.control import pack, unpack
from mainstay.serving.processes.wire import Wire


async def echo(operation, payload):
    match operation:
        case "refuse":
            raise ArgumentError("wrong", where="$.here", expected="right", received=payload.decode(), fix="mend it")
        case "break":
            raise ValueError("broken")
        case "wait":
            await asyncio.Event().wait()
    return operation.encode() + b" " + payload


class Pair:
    """Two ends of a wire."""

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.closed = asyncio.Event()
        one, two = socket.socketpair()
        self.ours = Wire(echo, self.closed.set)
        self.theirs = Wire(echo, lambda: None)
        await loop.create_connection(lambda: self.ours, sock=one)
        self.transport, _ = await loop.create_connection(lambda: self.theirs, sock=two)
        return self

    async def __aexit__(self, *error):
        self.ours.close()
        self.theirs.close()
        await asyncio.sleep(0)


def run(body):
    async def main():
        async with Pair() as pair:
            await body(pair)

    asyncio.run(main())


def test_requests_are_answered_both_ways_whatever_their_size_and_order():
    async def body(pair):
        large = bytes(300_000)
        asked = [pair.ours.request("one"), pair.theirs.request("two", b"x"), pair.ours.request("large", large)]
        assert await asyncio.gather(*asked) == [b"one ", b"two x", b"large " + large]

    run(body)


def test_an_error_keeps_its_kind_and_its_parts():
    async def body(pair):
        with pytest.raises(ArgumentError) as caught:
            await pair.ours.request("refuse", b"this")
        error = caught.value
        assert (error.summary, error.where, error.expected, error.received, error.fix) == (
            "wrong",
            "$.here",
            "right",
            "this",
            "mend it",
        )

    run(body)


def test_a_fault_of_the_other_side_is_told(caplog):
    async def body(pair):
        with pytest.raises(MainstayError, match="ValueError: broken"):
            await pair.ours.request("break")

    run(body)
    assert "a request of the control plane failed: break" in caplog.text


def test_an_answer_that_does_not_come_in_time_is_an_error_and_the_wire_goes_on():
    async def body(pair):
        with pytest.raises(UnavailableError, match="no answer to 'wait' within 0 seconds"):
            await pair.ours.request("wait", seconds=0)
        assert await pair.ours.request("one") == b"one "

    run(body)


def test_when_the_other_side_is_gone_nobody_waits():
    async def body(pair):
        waiting = asyncio.ensure_future(pair.ours.request("wait"))
        await asyncio.sleep(0)
        pair.theirs.close()
        with pytest.raises(UnavailableError, match="the process is gone"):
            await waiting
        assert pair.closed.is_set()
        assert not pair.ours.open
        with pytest.raises(UnavailableError, match="the process is gone"):
            await pair.ours.request("one")

    run(body)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", 2**31, 0),
        struct.pack(">II", 2, 2**31),
        struct.pack(">II", 2, 0) + b"{}",
        struct.pack(">II", 2, 0) + b"\xff\xff",
        struct.pack(">II", 4, 0) + b"null",
        struct.pack(">II", 13, 0) + b'{"request":1}',
    ],
)
def test_what_is_no_message_ends_the_wire(data):
    async def body(pair):
        pair.transport.write(data)
        await asyncio.wait_for(pair.closed.wait(), 20)

    run(body)


def test_a_reply_that_nobody_waits_for_is_passed_over():
    async def body(pair):
        pair.theirs._send({"reply": 99}, b"late")
        assert await pair.ours.request("one") == b"one "

    run(body)


@pytest.mark.parametrize("parts", [[], [b""], [b"one", b"", b"\n[1]\n"]])
def test_parts_are_packed_and_unpacked(parts):
    assert unpack(pack(parts)) == parts
