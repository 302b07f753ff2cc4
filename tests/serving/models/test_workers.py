import asyncio
import gc
import sys
import threading
import weakref

import pytest

from mainstay.serving.models.workers import Workers, frequent_switches


def test_work_is_done_on_a_thread_of_its_own_and_its_error_comes_back():
    async def main():
        workers = Workers(asyncio.get_running_loop(), 1, name="test")
        assert (await workers.run(threading.current_thread)).name == "test-0"
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 // 0)
        workers.close()

    asyncio.run(main())


def test_a_thread_that_waits_keeps_nothing_alive():
    class Model:
        pass

    async def main():
        workers = Workers(asyncio.get_running_loop(), 1, name="test")
        model = Model()
        gone = weakref.ref(model)
        assert await workers.run(lambda model=model: model) is model
        del model
        await workers.run(lambda: None)
        gc.collect()
        assert gone() is None
        workers.close()

    asyncio.run(main())


def test_work_whose_loop_is_gone_is_nobodys():
    begun, free = threading.Event(), threading.Event()

    def work():
        begun.set()
        free.wait(20)

    async def main():
        workers = Workers(asyncio.get_running_loop(), 1, name="test")
        workers.run(work)
        workers.close()
        await asyncio.to_thread(begun.wait, 20)
        return workers

    workers = asyncio.run(main())
    free.set()
    workers._threads[0].join(20)
    assert not workers._threads[0].is_alive()


def test_threads_are_switched_often_only_while_somebody_wants_it():
    before = sys.getswitchinterval()
    with frequent_switches():
        with frequent_switches():
            assert sys.getswitchinterval() < before
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
