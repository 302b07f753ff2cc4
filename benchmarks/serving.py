"""The model server against the servers that people run in Python, on one machine, in turns.

    python tools/rival_env.py serving                          # once: their environments, 5 GB
    tools/install_load_tools.sh                                # wrk and h2load
    python benchmarks/serving.py --rounds 3 --json serving.json
    python benchmarks/serving.py --only grpc --servers mainstay,grpcio

One row of 784 numbers goes to a network of 784-128-10, at 1, 32 and 128 requests at a time; a picture of 224 × 224 × 3
goes to a mean over patches. The others run it in NumPy, which costs less than calling XLA; Mainstay serves an artifact
with everything on that is on by default. Each server is started for its turn and stopped after it. Prints requests per
second, latencies and the server's CPU time per request, and Mainstay's rate over each rival's: above 1 it is ahead.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving_rivals import bodies
from serving_rivals.load import Figures, Process, grpc_load, http_load

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CONCURRENCY = (1, 32, 128)
STREAMS = {1: (1, 1), 32: (1, 32), 128: (8, 16)}
PREDICT = "/tensorflow.serving.PredictionService/Predict"
INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Server:
    """How a server is started and asked.

    Args:
        command: Its command line; ``{port}`` and ``{grpc}`` stand for its ports, ``{models}`` for the folder of models.
        path: Where the row goes over HTTP, or an empty string.
        body: The name of the row's body.
        grpc: The method that takes the row over gRPC, or an empty string.
        message: The file of the row's message.
        environment: Variables beyond those of this process.
        images: Where pictures go, by the name of their body.
    """

    command: tuple[str, ...]
    path: str = "/v1/models/m:predict"
    body: str = "rows"
    grpc: str = ""
    message: str = "predict.bin"
    environment: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)


def _python(environment: str) -> str:
    return str(ROOT / f".venv-serving-{environment}" / "bin" / "python")


def _app(environment: str, name: str, *arguments: str) -> tuple[str, ...]:
    return (_python(environment), str(HERE / "serving_rivals" / f"{name}_app.py"), "{port}", *arguments)


SERVERS = {
    "mainstay": Server(
        (
            *(sys.executable, "-m", "mainstay", "serve", "--model", "m={models}/m", "--model", "image={models}/image"),
            *("--rest-port", "{port}", "--port", "{grpc}"),
        ),
        grpc=PREDICT,
        images={"image": "/v1/models/image:predict", "image-npy": "/v1/models/image:predict"},
    ),
    "granian": Server(
        (
            *(_python("http"), "-m", "granian", "--interface", "rsgi", "--host", "127.0.0.1", "--port", "{port}"),
            *("--workers", "1", "--loop", "uvloop", "--log-level", "error", "granian_app:app"),
        ),
        images={"image": "/v1/models/image:predict"},
    ),
    "fastapi": Server(
        (
            *(_python("http"), "-m", "uvicorn", "fastapi_app:app", "--port", "{port}", "--host", "127.0.0.1"),
            *("--log-level", "error", "--no-access-log"),
        ),
        images={"image": "/v1/models/image:predict"},
    ),
    "litserve": Server(_app("litserve", "litserve")),
    "bentoml": Server(
        (_python("bentoml"), "-m", "bentoml", "serve", "bentoml_app:Model", "--port", "{port}", "--host", "127.0.0.1"),
        path="/predict",
        body="bento",
        environment={"DO_NOT_TRACK": "1", "BENTOML_DO_NOT_TRACK": "True"},
    ),
    "kserve": Server(_app("kserve", "kserve")),
    "triton": Server(_app("triton", "triton"), path="/v2/models/m/infer", body="v2", grpc=INFER, message="infer.bin"),
    "ray": Server(_app("ray", "ray"), environment={"RAY_USAGE_STATS_ENABLED": "0"}),
    "grpcio": Server((*_app("http", "grpc")[:2], "{grpc}", "{messages}"), path="", grpc=PREDICT),
}


def save_models(folder: Path) -> None:
    """Save the two models as artifacts."""
    import jax
    import jax.numpy as jnp
    from serving_rivals import model

    from mainstay.core import TensorSpec
    from mainstay.saved_model import ServingFunction, save

    def dense(w: Any, x: Any) -> Any:
        return {"probs": jax.nn.softmax(jnp.maximum(x["x"] @ w["W1"], 0) @ w["W2"])}

    def picture(w: Any, x: Any) -> Any:
        means = x["x"].reshape(-1, 14, 16, 14, 16, 3).mean((2, 4)).reshape(-1, 588)
        return {"probs": jax.nn.softmax(means @ w["WI"])}

    for name, function, weights, shape in (
        ("m", dense, {"W1": model.W1, "W2": model.W2}, (784,)),
        ("image", picture, {"WI": model.WI}, (224, 224, 3)),
    ):
        specs = (TensorSpec([None, *shape], "float32", "x"),)
        save(ServingFunction(function, specs, weights, tolerance=1e-5), folder / name / "1")


def compile_messages(folder: Path) -> None:
    """Compile the messages of TF Serving for grpcio, from Mainstay's own definitions."""
    protos = ROOT / "src" / "mainstay" / "core" / "protos"
    files = [str(path.relative_to(protos)) for path in sorted(protos.rglob("*.proto"))]
    command = [_python("http"), "-m", "grpc_tools.protoc", f"-I{protos}", f"--python_out={folder}", *files]
    subprocess.run(command, check=True, cwd=protos)


def _free_ports() -> tuple[int, int]:
    """Return a free port that is followed by two free ones, for servers that take the next ones too."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    return port, port + 1


@contextmanager
def running(name: str, server: Server, folder: Path) -> Iterator[tuple[Process, int, int, float]]:
    """Run a server; gives its process, its two ports and how long it took until it answered."""
    port, grpc = _free_ports()
    places = {"port": str(port), "grpc": str(grpc), "models": str(folder), "messages": str(folder / "messages")}
    command = [part.format(**places) for part in server.command]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(HERE / "serving_rivals")}
    if name == "triton":
        environment["LD_LIBRARY_PATH"] = str(Path(sys.base_prefix) / "lib")
    log = folder / f"{name}.log"
    started = time.perf_counter()
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=HERE / "serving_rivals" if name != "mainstay" else ROOT,
            env={**environment, **server.environment},
        )
    process = Process(popen)
    try:
        while not _answers(server, folder, port, grpc):
            if popen.poll() is not None or time.perf_counter() - started > 150:
                raise SystemExit(f"{name} does not answer:\n{log.read_text()[-2000:]}")
            time.sleep(0.3)
        yield process, port, grpc, time.perf_counter() - started
    finally:
        process.stop()


def _answers(server: Server, folder: Path, port: int, grpc: int) -> bool:
    if not server.path:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", grpc)) == 0
    url = f"http://127.0.0.1:{port}{server.path}"
    command = ["curl", "-s", "-m", "5", "-o", os.devnull, "-w", "%{http_code}", "-H", "content-type: application/json"]
    return (
        subprocess.run(
            [*command, "--data-binary", f"@{folder / server.body}.json", url], capture_output=True, text=True
        ).stdout
        == "200"
    )


Key = tuple[str, str, int]


def measure(name: str, folder: Path, only: set[str], seconds: float) -> Iterator[tuple[Key, Figures]]:
    """Start a server, put every kind of load on it, and stop it."""
    server = SERVERS[name]
    with running(name, server, folder) as (process, port, grpc, ready):
        base = f"http://127.0.0.1:{port}"
        if server.path and "rest" in only:
            script, url = folder / f"{server.body}.lua", base + server.path
            http_load(process, url, script, connections=8, seconds=1)
            for connections in CONCURRENCY:
                yield (
                    ("rest", "", connections),
                    http_load(process, url, script, connections=connections, seconds=seconds),
                )
        if "image" in only:
            for body, path in server.images.items():
                http_load(process, base + path, folder / f"{body}.lua", connections=1, seconds=1)
                yield (
                    ("image", body, 1),
                    http_load(process, base + path, folder / f"{body}.lua", connections=1, seconds=seconds),
                )
        if server.grpc and "grpc" in only:
            body, url = folder / server.message, f"http://127.0.0.1:{grpc}{server.grpc}"
            grpc_load(process, url, body, concurrency=(1, 4), seconds=1)
            for number, concurrency in STREAMS.items():
                yield ("grpc", "", number), grpc_load(process, url, body, concurrency=concurrency, seconds=seconds)
        print(f"  {name}: answered after {ready:.1f} s, {process.memory_mb():.0f} MB", flush=True)


def in_process(folder: Path, seconds: float) -> float:
    """Return how many microseconds the picture's model takes by itself, the median."""
    from mainstay.saved_model import load

    signature = load(folder / "image" / "1").signatures["serving_default"]
    picture, times = bodies.image(), []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        signature(picture)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def report(found: dict[str, dict[Key, list[Figures]]], model_time: float | None) -> dict[str, Any]:
    """Print the medians and Mainstay's rate over that of each other; return them."""
    medians = {
        name: {key: Figures(*map(statistics.median, zip(*items, strict=True))) for key, items in figures.items()}
        for name, figures in found.items()
    }
    rows = []
    for key in sorted({key for figures in medians.values() for key in figures}):
        kind = " ".join(filter(None, key[:2]))
        ours = medians.get("mainstay", {}).get(key)
        print(f"\n{kind}, {key[2]} at a time")
        for name, figures in medians.items():
            if key not in figures:
                continue
            item = figures[key]
            ratio = f"{ours.rate / item.rate:6.1f} ×" if ours else ""
            print(
                f"  {name:10s} {item.rate:9.0f} requests/s {ratio}  p50 {item.p50 / 1e3:7.2f} ms  p99 "
                f"{item.p99 / 1e3:7.2f} ms  {item.cpu:8.1f} µs CPU each  {item.errors:.0f} errors"
            )
            rows.append({"server": name, "load": kind, "at_a_time": key[2], **item._asdict()})
    if model_time is not None:
        print(f"\nthe picture's model by itself: {model_time / 1e3:.2f} ms")
    return {"figures": rows, "model_microseconds": model_time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="rest,grpc,image", help="some of rest, grpc, image")
    parser.add_argument("--servers", default=",".join(SERVERS), help="some of the servers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of load for each figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    options = parser.parse_args()
    missing = [tool for tool in ("wrk", "h2load", "curl") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; run tools/install_load_tools.sh")
    only, names = set(options.only.split(",")), options.servers.split(",")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.rounds} rounds")
    found: dict[str, dict[Key, list[Figures]]] = {name: defaultdict(list) for name in names}
    times: list[float] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bodies.write(folder)
        save_models(folder)
        (folder / "messages").mkdir()
        if "grpcio" in names:
            compile_messages(folder / "messages")
        for turn in range(options.rounds):
            print(f"round {turn + 1}, load {os.getloadavg()[0]:.1f}", flush=True)
            for name in names if turn % 2 == 0 else reversed(names):
                for key, figures in measure(name, folder, only, options.seconds):
                    found[name][key].append(figures)
            if "image" in only:
                times.append(in_process(folder, options.seconds))
        result = report(found, statistics.median(times) if times else None)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
