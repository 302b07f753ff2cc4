"""Two workers that serve a model without a compiler, and their parent; the first argument is a folder."""

import logging
import os
import sys
from pathlib import Path

import numpy as np

from mainstay.core import Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.serving import ServerOptions, SupervisorOptions, serve, serve_workers, take_seat


class Doubling:
    """A signature that doubles its numbers."""

    def __init__(self):
        spec = TensorSpec([None], "float64", "x")
        self.inputs = (HostInput(spec, False),)
        self.signature = Signature((spec,), (TensorSpec([None], "float64", "y"),))
        self.buckets = (1, 2, 4)

    def warm_up(self, buckets=None):
        pass

    def run(self, columns):
        return {"y": np.asarray(columns[0].values) * 2}


class Model:
    signatures = {"serving_default": Doubling()}  # noqa: RUF012


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    options = ServerOptions(
        rest_port=0,
        grpc_port=None,
        unix_socket=folder / "rest.sock",
        traffic=folder / "traffic.json",
        drain_timeout_seconds=20,
    )
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    seat = take_seat()
    if seat is not None:
        seat.settle()
        serve({"m": Model()}, options, seat=seat)
    else:
        print(f"parent {os.getpid()}", flush=True)
        workers = SupervisorOptions(workers=2, first_wait_seconds=0.001, drain_timeout_seconds=30)
        sys.exit(serve_workers((sys.executable, *sys.argv), options, workers))
