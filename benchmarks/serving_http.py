"""HTTP throughput and latency against FastAPI + uvicorn calling the same compiled function, interleaved on one machine.

    python benchmarks/serving_http.py --concurrency 32 --rounds 5 --seconds 3

Prints requests per second, p50, p99 and server CPU per request of each round's median, and the ratios. The load
generator is a process of its own that sends the same bytes to both servers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = [
    "fare",
    "trip_miles",
    "trip_seconds",
    "pickup_latitude",
    "pickup_longitude",
    "dropoff_latitude",
    "dropoff_longitude",
    "tolls",
]
INTEGERS = ["trip_start_hour", "trip_start_day", "trip_start_month"]
STRINGS = ["company", "payment_type", "pickup_community_area", "dropoff_community_area", "pickup_census_tract"]


VOCABULARY = [f"value {index}" for index in range(50)]
WIDTHS = (128, 64)


def row() -> dict[str, Any]:
    numbers = {name: round(12.625 + 1.37 * index, 4) for index, name in enumerate(NUMBERS)}
    return numbers | dict.fromkeys(INTEGERS, 7) | {name: f"value {index}" for index, name in enumerate(STRINGS)}


def save_artifact(path: Path) -> None:
    """Save a model such as `mainstay run` makes: z-scores, missing indicators, vocabularies, embeddings, two layers."""
    import jax
    import jax.numpy as jnp

    from mainstay.core import TensorSpec
    from mainstay.hostops import HostGraph, HostInput, HostNode
    from mainstay.saved_model import ServingFunction, save

    inputs, nodes, outputs, specs = [], [], {}, []

    def node(op: str, name: str, *sources: str, **attrs: Any) -> str:
        nodes.append(HostNode(op, name, sources, attrs))
        return name

    for constant, value in (("mean", 10.0), ("scale", 4.0)):
        node("Const", constant, value=value, dtype="float64")
    node("Const", "blank", value="", dtype="string")
    for name in NUMBERS + INTEGERS:
        dtype = "float64" if name in NUMBERS else "int64"
        inputs.append(HostInput(TensorSpec([None], dtype, name), optional=True))
        wide = node("Cast", f"{name}_wide", name, dtype="float64")
        filled = node("FillMissing", f"{name}_filled", wide, "mean")
        score = node("RealDiv", f"{name}_score", node("Sub", f"{name}_centred", filled, "mean"), "scale")
        outputs[f"{name}_x"] = node("Cast", f"{name}_x32", score, dtype="float32")
        outputs[f"{name}_m"] = node("Cast", f"{name}_m32", node("IsMissing", f"{name}_gone", name), dtype="float32")
        specs += [TensorSpec([None], "float32", f"{name}_x"), TensorSpec([None], "float32", f"{name}_m")]
    for name in STRINGS:
        inputs.append(HostInput(TensorSpec([None], "string", name), optional=True))
        filled = node("FillMissing", f"{name}_filled", name, "blank")
        outputs[f"{name}_id"] = node("LookupTableFindV2", f"{name}_id", filled, asset="words.txt", num_oov_buckets=8)
        specs.append(TensorSpec([None], "int64", f"{name}_id"))
    assets = {"words.txt": "\n".join(VOCABULARY).encode()}
    prefix = HostGraph(inputs, nodes, outputs, assets)

    numeric = [name for name in outputs if not name.endswith("_id")]
    random = np.random.default_rng(0)
    shapes = {"hidden": (len(numeric) + 8 * len(STRINGS), WIDTHS[0]), "deep": WIDTHS, "head": (WIDTHS[1], 1)}
    shapes |= {f"{name}_id": (len(VOCABULARY) + 8, 8) for name in STRINGS}
    weights = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}

    def predict(weights: Any, values: Any) -> Any:
        parts = [values[name][:, None] for name in numeric]
        parts += [weights[f"{name}_id"][values[f"{name}_id"]] for name in STRINGS]
        hidden = jax.nn.relu(jnp.concatenate(parts, axis=1) @ weights["hidden"])
        return {"tips": jax.nn.relu(hidden @ weights["deep"]) @ weights["head"]}

    golden = {name: [value] for name, value in row().items()}
    save(ServingFunction(predict, tuple(specs), weights, prefix, tolerance=1e-5), path, golden=golden)


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends the next request as soon as it has read an answer."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.buffer = b""
        self.sent = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter_ns()
        self.transport.write(self.load.request)

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data if self.buffer else data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self.buffer = data
            return
        start = data.lower().find(b"content-length:", 0, head) + 15
        if len(data) < head + 4 + int(data[start : data.find(b"\r\n", start)]):
            self.buffer = data
            return
        self.buffer = b""
        self.load.record(time.perf_counter_ns() - self.sent, data[9:12] == b"200")
        if self.load.running:
            self.send()
        else:
            self.transport.close()


class Load:
    """Drives one server for a while and keeps every latency."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.latencies: list[int] = []
        self.failed = 0
        self.running = True
        self.measuring = False

    def record(self, nanoseconds: int, good: bool) -> None:
        if self.measuring:
            self.latencies.append(nanoseconds)
            self.failed += not good

    async def drive(self, port: int, concurrency: int, seconds: float) -> float:
        loop = asyncio.get_running_loop()
        for _ in range(concurrency):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
        await asyncio.sleep(min(0.3, seconds))
        self.measuring, started = True, time.perf_counter()
        await asyncio.sleep(seconds)
        self.measuring, elapsed = False, time.perf_counter() - started
        self.running = False
        return elapsed


def generate_load(port: int, concurrency: int, seconds: float) -> None:
    """Entry of the load generator's process: prints one line of JSON."""
    import uvloop

    body = json.dumps({"instances": [row()]}).encode()
    head = f"POST /v1/models/trips:predict HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    load = Load(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        elapsed = runner.run(load.drive(port, concurrency, seconds))
    values = np.array(load.latencies) / 1e3
    p50, p99 = np.percentile(values, [50, 99])
    result = {"rps": len(values) / elapsed, "p50": p50, "p99": p99, "failed": load.failed, "count": len(values)}
    print(json.dumps(result))


def serve_mainstay(port: int, artifact: str, execution: str) -> None:
    from mainstay.serving import BatchingOptions, ServerOptions, serve

    serve(
        {"trips": artifact},
        ServerOptions(rest_port=port, grpc_port=None, batching=BatchingOptions(execution=execution)),
    )


def serve_fastapi(port: int, artifact: str, execution: str) -> None:
    """The rival, as people write it, or with `tuned` as FastAPI can do best: orjson both ways, its routing alone."""
    import orjson
    import uvicorn
    from fastapi import FastAPI, Response

    from mainstay.saved_model import load, tune_for_serving

    tune_for_serving()
    signature = load(artifact).signatures["serving_default"]
    signature.warm_up([1])
    names = [item.spec.name for item in signature.inputs]
    application = FastAPI()

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        rows = body["instances"]
        outputs = signature({name: [row.get(name) for row in rows] for name in names})
        return {"predictions": outputs["tips"].tolist()}

    async def predict(body: dict[str, Any]) -> dict[str, Any]:
        return answer(body)

    async def predict_tuned(request: Any) -> Response:
        return Response(orjson.dumps(answer(orjson.loads(await request.body()))), media_type="application/json")

    if execution == "tuned":
        application.add_route("/v1/models/trips:predict", predict_tuned, methods=["POST"])
    else:
        application.post("/v1/models/trips:predict")(predict)

    uvicorn.run(
        application, host="127.0.0.1", port=port, loop="uvloop", http="httptools", log_level="error", access_log=False
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(process: int) -> float:
    """CPU time of all threads of a process so far, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    body = json.dumps({"instances": [row()]}).encode()
    request = b"POST /v1/models/trips:predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    request += b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"a server ended with {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(request)
                if client.recv(65536).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("a server did not come up")


def measure(servers: dict[str, tuple[int, int]], arguments: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    results: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    for turn in range(arguments.rounds):
        order = list(servers) if turn % 2 == 0 else list(servers)[::-1]
        for name in order:
            port, process = servers[name]
            before = cpu_seconds(process)
            command = [sys.executable, __file__, "--role", "load", "--port", str(port)]
            command += ["--concurrency", str(arguments.concurrency), "--seconds", str(arguments.seconds)]
            result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            # The load runs a little longer than it is measured; the same for both servers.
            scale = (arguments.seconds + min(0.3, arguments.seconds)) / arguments.seconds
            result["cpu"] = (cpu_seconds(process) - before) / (result["count"] * scale) * 1e6
            results[name].append(result)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--execution", default="auto")
    parser.add_argument(
        "--role", default="main", choices=("main", "load", "mainstay", "fastapi"), help=argparse.SUPPRESS
    )
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--artifact", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role == "load":
        generate_load(arguments.port, arguments.concurrency, arguments.seconds)
        return
    if arguments.role == "mainstay":
        serve_mainstay(arguments.port, arguments.artifact, arguments.execution)
        return
    if arguments.role == "fastapi":
        serve_fastapi(arguments.port, arguments.artifact, arguments.execution)
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        artifact = str(Path(folder) / "model")
        save_artifact(Path(artifact))
        contenders = [("mainstay", execution) for execution in arguments.execution.split(",")]
        servers = {}
        for role, execution in [*contenders, ("fastapi", "plain"), ("fastapi", "tuned")]:
            port = free_port()
            command = [sys.executable, __file__, "--role", role, "--port", str(port), "--artifact", artifact]
            process = subprocess.Popen([*command, "--execution", execution])
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_until_up(port, process)
            servers[f"{role} {execution}"] = (port, process.pid)
        report(measure(servers, arguments), arguments.concurrency)


def report(results: dict[str, list[dict[str, float]]], concurrency: int) -> None:
    medians = {
        name: {key: statistics.median(result[key] for result in rounds) for key in rounds[0]}
        for name, rounds in results.items()
    }
    rivals = [name for name in medians if name.startswith("fastapi")]
    print(f"concurrency {concurrency}, keep-alive, one row per request; medians of {len(results[rivals[0]])} rounds")
    titles = ["req/s", "p50 ms", "p99 ms", "CPU us/req", "failed"]
    titles += [f"{title} x {name.split()[1]}" for name in rivals for title in ("req/s", "p99")]
    print(f"{'server':18s}" + "".join(f"{title:>15s}" for title in titles))
    for name, value in medians.items():
        cells = [f"{value['rps']:.0f}", f"{value['p50'] / 1e3:.2f}", f"{value['p99'] / 1e3:.2f}"]
        cells += [f"{value['cpu']:.1f}", f"{value['failed']:.0f}"]
        cells += [f"{value[key] / medians[rival][key]:.2f}" for rival in rivals for key in ("rps", "p99")]
        print(f"{name:18s}" + "".join(f"{cell:>15s}" for cell in cells))


if __name__ == "__main__":
    main()
