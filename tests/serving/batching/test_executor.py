import asyncio
import threading

from mainstay.serving.batching.executor import DeviceThread


def test_work_runs_in_order_on_one_thread_and_results_come_back_to_the_loop():
    async def run():
        loop = asyncio.get_running_loop()
        executor = DeviceThread(loop)
        results, threads, finished = [], set(), loop.create_future()

        def work(number):
            threads.add(threading.get_ident())
            return number

        def done(number):
            results.append((number, threading.get_ident()))
            if number == 9:
                finished.set_result(None)

        for number in range(10):
            executor.submit(lambda number=number: work(number), done)
        await finished
        assert executor.close(20)
        return results, threads

    results, threads = asyncio.run(run())
    assert [number for number, _ in results] == list(range(10))
    assert {thread for _, thread in results} == {threading.get_ident()}
    assert len(threads) == 1
    assert threading.get_ident() not in threads
