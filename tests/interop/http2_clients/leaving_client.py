"""Calls an echo server until it is gone; prints what was answered and what was lost: ``leaving_client.py PORT``."""

import json
import sys
import threading

import grpc

echo = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}").unary_unary("/test.Echo/Echo")
told = {"answered": 0, "wrong": []}
lock = threading.Lock()


def call(seed):
    for number in range(100_000):
        message = b"%d-%d" % (seed, number)
        try:
            answer = echo(message, timeout=30)
        except grpc.RpcError as error:
            # A new connection finds nobody: that is how a client learns that the server has gone.
            if error.code() is not grpc.StatusCode.UNAVAILABLE or "onnect" not in error.details():
                told["wrong"].append(f"{error.code()} {error.details()}")
            return
        with lock:
            told["answered"] += 1
            if told["answered"] == 100:
                print("running", flush=True)
            if answer != message:
                told["wrong"].append(repr(message))


threads = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(told))
