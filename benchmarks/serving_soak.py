"""A model server under long load: its memory over many requests, and with many idle connections.

    python benchmarks/serving_soak.py --requests 1000000 --idle 10000

Serves the network of `serving.py`, opens idle connections to both ports, sends predict requests over gRPC and REST in
equal pieces, and prints the server's memory after each. Flat memory is what this is to show; no rival is needed.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import socket
import tempfile
from pathlib import Path

from serving import PREDICT, SERVERS, running, save_models
from serving_rivals import bodies
from serving_rivals.load import Process, grpc_load, http_load


def resident_mb(process: Process) -> float:
    """Return the memory of the server's first process."""
    pages = int(Path(f"/proc/{process.popen.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_idle(ports: tuple[int, int], count: int) -> list[socket.socket]:
    """Open idle connections, half to each port."""
    return [socket.create_connection(("127.0.0.1", ports[number % 2]), timeout=30) for number in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections")
    parser.add_argument("--pieces", type=int, default=10, help="how often memory is looked at")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    idle = min(options.idle, most - 200)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {most:,} files at most")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bodies.write(folder)
        save_models(folder)
        server = SERVERS["mainstay"]
        with running("mainstay", server, folder) as (process, port, grpc, _):
            before = resident_mb(process)
            sockets = open_idle((port, grpc), idle)
            after = resident_mb(process)
            each = (after - before) * 1e3 / max(idle, 1)
            print(f"{idle:,} idle connections: {before:.0f} → {after:.0f} MB, {each:.1f} kB each")
            soak(process, (port, grpc), folder, options.requests // options.pieces, options.pieces)
            for connection in sockets:
                connection.close()
            print(f"idle connections closed: {resident_mb(process):.0f} MB")


def soak(process: Process, ports: tuple[int, int], folder: Path, requests: int, pieces: int) -> None:
    """Send requests in pieces, turn by turn over gRPC and REST."""
    sent = 0
    for piece in range(pieces):
        answered = 0
        while answered < requests:
            if piece % 2 == 0:
                url = f"http://127.0.0.1:{ports[1]}{PREDICT}"
                figures = grpc_load(process, url, folder / "predict.bin", concurrency=(8, 16), seconds=5)
            else:
                url = f"http://127.0.0.1:{ports[0]}/v1/models/m:predict"
                figures = http_load(process, url, folder / "rows.lua", connections=64, seconds=5)
            answered += int(figures.answers)
            if figures.errors:
                raise SystemExit(f"{figures.errors} errors")
        sent += answered
        print(f"{sent:>10,} requests: {resident_mb(process):.0f} MB", flush=True)


if __name__ == "__main__":
    main()
