"""Metrics of all processes, even where these cannot be asked."""

import asyncio

from mainstay.serving.operations.families import Family, Metrics
from mainstay.serving.processes.control import Control
from mainstay.serving.processes.counts import gather_metrics

SEEN = Family("seen_total", "counter", "What was seen.")


def test_who_asks_is_answered_with_what_is_known_here_if_the_others_cannot_be_asked(caplog):
    class Broken(Control):
        async def gather(self, name):
            raise ValueError("no list of sizes")

    def collect():
        metrics = Metrics()
        metrics.add(SEEN, (), 3)
        return metrics.to_bytes()

    async def ask():
        control, loop = Broken(), asyncio.get_running_loop()
        control.collectors["metrics"] = collect
        answered = loop.create_future()
        gather_metrics(control, "metrics", loop)(answered.set_result)
        return await asyncio.wait_for(answered, 20)

    assert asyncio.run(ask()).families["seen_total"].values == {(): 3}
    assert "no list of sizes" in caplog.text
