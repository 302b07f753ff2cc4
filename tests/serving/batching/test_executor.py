import asyncio
import threading

import pytest

from mainstay.serving.batching.executor import DeviceThread


class User:
    """Numbers that are worked on one after the other."""

    def __init__(self, executor, numbers, finished):
        self.executor, self.numbers, self.finished = executor, list(numbers), finished
        self.results, self.threads = [], set()
        self.share = executor.join(self.take, self.done)

    def take(self):
        if not self.numbers:
            return None
        number = self.numbers.pop(0)

        def work():
            self.threads.add(threading.get_ident())
            return number

        return work

    def done(self, number):
        self.results.append((number, threading.get_ident()))
        if self.numbers:
            self.executor.ask(self.share)
        else:
            self.finished.set_result(None)


def run_users(threads, *users):
    async def run():
        loop = asyncio.get_running_loop()
        executor = DeviceThread(loop, threads)
        made = [User(executor, numbers, loop.create_future()) for numbers in users]
        assert executor.idle
        for user in made:
            executor.ask(user.share)
        assert not executor.idle
        await asyncio.gather(*[user.finished for user in made])
        assert executor.idle
        assert executor.close(20)
        return made

    return asyncio.run(run())


@pytest.mark.parametrize("threads", [1, 2])
def test_work_runs_on_the_devices_threads_and_results_come_back_to_the_loop(threads):
    users = run_users(threads, range(10), range(10, 13))
    assert [[number for number, _ in user.results] for user in users] == [list(range(10)), [10, 11, 12]]
    assert {thread for user in users for _, thread in user.results} == {threading.get_ident()}
    used = set().union(*[user.threads for user in users])
    assert len(used) <= threads
    assert threading.get_ident() not in used


def test_what_to_run_is_asked_for_when_the_thread_is_free():
    async def run():
        loop = asyncio.get_running_loop()
        executor, go, asked, finished = DeviceThread(loop), threading.Event(), [], loop.create_future()

        def take(name, work):
            asked.append(name)
            return work

        first = executor.join(lambda: take("first", go.wait), lambda result: None)
        second = executor.join(lambda: take("second", lambda: 1), finished.set_result)
        executor.ask(first)
        executor.ask(second)
        assert asked == ["first"]
        go.set()
        assert await finished == 1
        assert asked == ["first", "second"]
        assert executor.close(20)

    asyncio.run(run())


def test_who_leaves_is_not_asked():
    async def run():
        loop = asyncio.get_running_loop()
        executor, go, finished = DeviceThread(loop), threading.Event(), loop.create_future()
        first = executor.join(lambda: go.wait, finished.set_result)
        second = executor.join(lambda: pytest.fail("it has left"), lambda result: None)
        executor.ask(first)
        executor.ask(second)
        executor.leave(second)
        go.set()
        await finished
        await asyncio.sleep(0)
        assert executor.idle
        assert executor.close(20)

    asyncio.run(run())


def test_work_that_does_not_end_is_abandoned():
    async def run():
        go = threading.Event()
        executor = DeviceThread(asyncio.get_running_loop())
        executor.ask(executor.join(lambda: go.wait, lambda result: None))
        assert not executor.close(0.0)
        go.set()
        assert executor.close(20)

    asyncio.run(run())
