"""The traffic page, where the processes that it is about cannot be asked."""

import asyncio

from mainstay.serving.engine import Engine
from mainstay.serving.traffic.assembly import Traffic
from mainstay.serving.traffic.config import TrafficConfig


class Request:
    target, method, headers, body = "/mainstay/traffic", "GET", {}, b""
    received, peer, identity = 0.0, "", ""

    def __init__(self):
        self.answered = asyncio.Event()

    def reply(self, status, body, headers=(), content_type=""):
        self.status, self.answer = status, body
        self.answered.set()


def test_the_page_is_answered_even_if_a_process_cannot_be_asked(caplog):
    async def gather(name):
        raise ValueError("no list of sizes")

    async def ask():
        page = Traffic(Engine(asyncio.get_running_loop()), TrafficConfig()).page(gather)
        request = Request()
        assert page.handle(request)
        await asyncio.wait_for(request.answered.wait(), 20)
        return request

    request = asyncio.run(ask())
    assert (request.status, b"no list of sizes" in request.answer) == (200, True)
    assert "no list of sizes" in caplog.text
