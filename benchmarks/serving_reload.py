"""What reloading costs those who are being served, and whether anything is left of versions that are gone.

    python benchmarks/serving_reload.py --json reload.json
    python benchmarks/serving_reload.py --only memory --cycles 50

Three parts, each with a server of its own and clients in another process:

* ``latency``: requests for a small network at a fixed rate while a ResNet-50 is loaded; the 99th percentile during the
  load over the one before is printed, for a load that compiles everything and for one that finds it in the cache.
* ``swaps``: ten versions replace each other while 64 connections send; every answer must be one of a version's.
* ``memory``: one version is replaced over and over, and the memory of the server is looked at after each time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "model_files"))

ROW = np.random.default_rng(2).uniform(-1, 1, (1, 784)).astype(np.float32)


def build(folder: Path) -> None:
    """Save the models: a ResNet-50, and ten versions of a small network."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras
    import models

    from mainstay.saved_model import save

    network = models.build("mlp", keras)
    weights = network.get_weights()
    for version in range(1, 11):
        network.set_weights([weight * (1 + version / 10) for weight in weights])
        save(network, folder / "networks" / str(version), tensorflow=None)
    save(models.build("resnet50", keras), folder / "resnet50", tensorflow=None)


def expected(folder: Path) -> list[list[float]]:
    """Return the answer of each version of the network to the row."""
    from mainstay.saved_model import load

    answers = []
    for version in range(1, 11):
        signature = load(folder / "networks" / str(version)).signatures["serving_default"]
        (output,) = signature(ROW).values()
        answers.append([float(number) for number in output[0]])
    return answers


def serve(port: int, folder: str, cache: str, apart: str) -> None:
    """Serve the models in a folder until a signal comes."""
    os.environ["MAINSTAY_CACHE"] = cache
    from mainstay.serving import ModelServer, ServerOptions, VersionOptions
    from mainstay.serving import serve as run

    config = Path(folder) / "models.config"
    versions = VersionOptions(config_file=config, poll_seconds=0.2, config_poll_seconds=0.2, compile_apart=apart)
    ready = Path(folder) / "ready"

    def on_ready(_: ModelServer) -> None:
        ready.touch()

    run({}, ServerOptions(rest_port=port, grpc_port=None, versions=versions), on_ready=on_ready)


class Server:
    """A server in a process of its own.

    Args:
        cache: The compilation cache.
        apart: Whether versions are compiled in a process of their own, see `VersionOptions.compile_apart`.
    """

    def __init__(self, cache: Path, apart: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reload-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._cache = cache
        self._apart = apart
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, *names: str) -> None:
        """Write the configuration file with these models, each in the folder of its name."""
        lines = [
            f"config {{ name: '{name}' base_path: '{self.folder / name}' model_platform: 'mainstay' }}"
            for name in names
        ]
        partial = self.folder / "models.partial"
        partial.write_text(f"model_config_list {{ {' '.join(lines)} }}")
        partial.replace(self.folder / "models.config")

    def add(self, artifact: Path, name: str, version: int) -> None:
        """Put a version into the folder of a model, whole at once."""
        target = self.folder / name / str(version)
        target.parent.mkdir(exist_ok=True)
        partial = target.with_name(f".{version}.partial")
        shutil.copytree(artifact, partial)
        partial.rename(target)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command = [sys.executable, __file__, "--serve", str(self.port), str(self.folder), str(self._cache), self._apart]
        self._process = subprocess.Popen(command)
        while not (self.folder / "ready").exists():
            if self._process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it and remove its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def state(self, name: str, version: int) -> str:
        """Return the state of a version."""
        url = f"http://127.0.0.1:{self.port}/v1/models/{name}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                statuses = json.load(answer)["model_version_status"]
        except urllib.error.HTTPError:
            return ""
        return next((each["state"] for each in statuses if each["version"] == str(version)), "")

    def wait(self, name: str, version: int, state: str) -> float:
        """Wait until a version has a state, and return how long that took, in seconds."""
        started = time.perf_counter()
        while (found := self.state(name, version)) != state:
            if time.perf_counter() - started > 600:
                raise SystemExit(f"model {name} version {version} is {found} after 600 s")
            time.sleep(0.1)
        return time.perf_counter() - started

    def resident_bytes(self) -> int:
        """Return how much memory it has."""
        process = self._process
        pages = Path(f"/proc/{process.pid if process else 0}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def running(cache: Path, artifact: Path, apart: str = "auto") -> Iterator[Server]:
    """Run a server with version 1 of the network as model `m`."""
    server = Server(cache, apart)
    server.add(artifact, "m", 1)
    server.configure("m")
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered, or at given times."""

    def __init__(self, request: bytes, answers: list[list[float]]) -> None:
        self._request = request
        self._answers = np.asarray(answers, np.float32)
        self._buffer = b""
        self._sent = 0.0
        self.waiting: asyncio.Future[None] | None = None
        self.latencies: list[tuple[float, float]] = []
        self.failed = self.wrong = 0
        self.versions: set[int] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.failed += self.waiting is not None

    async def ask(self, since: float | None = None) -> None:
        """Send a request and wait for its answer; latency counts from `since`."""
        self.waiting = asyncio.get_running_loop().create_future()
        self._sent = time.perf_counter() if since is None else since
        self.transport.write(self._request)
        await self.waiting

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        now = time.perf_counter()
        self.latencies.append((now, now - self._sent))
        self._buffer = rest[length:]
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            self.failed += 1
        else:
            got = np.asarray(json.loads(rest[:length])["predictions"][0], np.float32)
            near = np.flatnonzero(np.abs(self._answers - got).max(axis=1) < 1e-3 * np.abs(got).max())
            self.wrong += not len(near)
            self.versions.update(near.tolist())
        if self.waiting is not None:
            self.waiting.set_result(None)
            self.waiting = None


def _request() -> bytes:
    body = json.dumps({"instances": ROW.tolist()}).encode()
    return b"POST /v1/models/m:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body


async def _ask_for(port: int, connections: int, rate: float, answers: Any, stop: Any) -> list[Client]:
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Client(_request(), answers), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]

    async def keep_asking(number: int, client: Client) -> None:
        turn = time.perf_counter() + (number / rate if rate else 0)
        while not stop.is_set():
            if not rate:
                await client.ask()
                continue
            turn += connections / rate
            if (left := turn - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            # What is due counts from when it was due, however late the answer before came.
            await client.ask(turn)

    await asyncio.gather(*(keep_asking(number, client) for number, client in enumerate(clients)))
    return clients


def _clients(port: int, connections: int, rate: float, answers: Any, stop: Any, result: Any) -> None:
    clients = asyncio.run(_ask_for(port, connections, rate, answers, stop))
    result.put(
        {
            "latencies": sorted(pair for client in clients for pair in client.latencies),
            "failed": sum(client.failed for client in clients),
            "wrong": sum(client.wrong for client in clients),
            "versions": sorted(set().union(*(client.versions for client in clients))),
        }
    )


@contextlib.contextmanager
def asking(port: int, answers: Any, *, connections: int, rate: float) -> Iterator[dict[str, Any]]:
    """Ask for the network from another process while the block runs; what came of it is in the mapping after it."""
    context = multiprocessing.get_context("spawn")
    stop, result = context.Event(), context.Queue()
    process = context.Process(target=_clients, args=(port, connections, rate, answers, stop, result))
    process.start()
    found: dict[str, Any] = {}
    try:
        yield found
    finally:
        stop.set()
        found.update(result.get(timeout=60))
        process.join()


def percentile(latencies: list[tuple[float, float]], start: float, stop: float, share: float) -> float:
    """Return a percentile of the latencies between two times, in milliseconds."""
    kept = [seconds for when, seconds in latencies if start <= when <= stop]
    return float(np.percentile(kept, share)) * 1000 if kept else float("nan")


def measure_latency(folder: Path, answers: Any, rate: float) -> dict[str, Any]:
    """Measure the 99th percentile of the network's latency before and while a ResNet-50 is loaded, twice."""
    figures: dict[str, Any] = {}
    cache = Path(tempfile.mkdtemp(prefix="reload-cache-"))
    for name in ("compiled", "cached"):
        with running(cache, folder / "networks" / "1") as server:
            server.add(folder / "resnet50", "resnet", 1)
            with asking(server.port, answers, connections=8, rate=rate) as found:
                time.sleep(4)
                before = time.perf_counter()
                time.sleep(15)
                start = time.perf_counter()
                server.configure("m", "resnet")
                seconds = server.wait("resnet", 1, "AVAILABLE")
                stop = time.perf_counter()
                time.sleep(1)
        times = found["latencies"]
        figures[name] = {
            "seconds": seconds,
            "p50_before": percentile(times, before, start, 50),
            "p50_during": percentile(times, start, stop, 50),
            "p99_before": percentile(times, before, start, 99),
            "p99_during": percentile(times, start, stop, 99),
            "max_before": percentile(times, before, start, 100),
            "max_during": percentile(times, start, stop, 100),
            "failed": found["failed"],
            "wrong": found["wrong"],
        }
        figures[name]["ratio"] = figures[name]["p99_during"] / figures[name]["p99_before"]
        print(name, json.dumps(figures[name], default=float), flush=True)
    shutil.rmtree(cache, ignore_errors=True)
    return figures


def measure_swaps(folder: Path, answers: Any) -> dict[str, Any]:
    """Swap ten versions while 64 connections send."""
    cache = Path(tempfile.mkdtemp(prefix="reload-cache-"))
    with (
        running(cache, folder / "networks" / "1") as server,
        asking(server.port, answers, connections=64, rate=0) as found,
    ):
        time.sleep(3)
        for version in range(2, 11):
            server.add(folder / "networks" / str(version), "m", version)
            server.wait("m", version, "AVAILABLE")
            server.wait("m", version - 1, "END")
        time.sleep(1)
    shutil.rmtree(cache, ignore_errors=True)
    figures = {
        "requests": len(found["latencies"]),
        "failed": found["failed"],
        "wrong": found["wrong"],
        "versions_seen": len(found["versions"]),
        "p99_ms": percentile(found["latencies"], 0, float("inf"), 99),
    }
    print("swaps", json.dumps(figures), flush=True)
    return figures


def measure_memory(folder: Path, cycles: int) -> dict[str, Any]:
    """Replace a version over and over, and return the server's memory after each time."""
    cache = Path(tempfile.mkdtemp(prefix="reload-cache-"))
    sizes: list[int] = []
    # The memory of other processes is not looked at: without them, it takes less time.
    with running(cache, folder / "networks" / "1", "never") as server:
        for version in range(2, cycles + 2):
            server.add(folder / "networks" / "1", "m", version)
            server.wait("m", version, "AVAILABLE")
            server.wait("m", version - 1, "END")
            shutil.rmtree(server.folder / "m" / str(version - 1))
            sizes.append(server.resident_bytes())
            if version % 10 == 1:
                print(f"memory after {version - 1} cycles: {sizes[-1] / 1e6:.1f} MB", flush=True)
    shutil.rmtree(cache, ignore_errors=True)
    figures = {"cycles": cycles, "first": sizes[0], "last": sizes[-1], "ratio": sizes[-1] / sizes[0], "all": sizes}
    print(f"memory: {sizes[0] / 1e6:.1f} MB after 1 cycle, {sizes[-1] / 1e6:.1f} MB after {cycles}", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", nargs=4, metavar=("PORT", "FOLDER", "CACHE", "APART"), help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("latency", "swaps", "memory"))
    parser.add_argument("--models", type=Path, help="where the models are, or will be; a temporary folder by default")
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second while latency is measured")
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.serve:
        serve(int(options.serve[0]), *options.serve[1:])
        return
    folder = options.models or Path(tempfile.mkdtemp(prefix="reload-models-"))
    if not (folder / "resnet50").exists():
        build(folder)
    answers = expected(folder)
    figures: dict[str, Any] = {}
    if options.only in (None, "latency"):
        figures["latency"] = measure_latency(folder, answers, options.rate)
    if options.only in (None, "swaps"):
        figures["swaps"] = measure_swaps(folder, answers)
    if options.only in (None, "memory"):
        figures["memory"] = measure_memory(folder, options.cycles)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
