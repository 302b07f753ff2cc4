"""Run by Mainstay's Python: serves models over gRPC until it is told to stop, and says where."""

import sys
import time
from pathlib import Path

import numpy as np

from mainstay.core import DTYPES, Signature, TensorSpec
from mainstay.hostops import HostInput
from mainstay.saved_model import ServingFunction, save
from mainstay.serving import ModelServer, ServerOptions, TelemetryOptions, serve


class PlainSignature:
    """A signature in plain Python, for what no small artifact shows: every dtype, slowness, tf.Examples."""

    buckets = (1, 2, 4, 8, 16)

    def __init__(self, inputs, outputs, body, method="predict"):
        self.inputs = tuple(HostInput(spec) for spec in inputs)
        self.signature = Signature(tuple(inputs), tuple(outputs))
        self.method = method
        self.rows = True
        self._body = body

    def warm_up(self, buckets=None):
        """There is nothing to compile."""

    def run(self, columns):
        """Return what the body makes of the columns."""
        return self._body(*(column.values for column in columns))


class PlainModel:
    """Signatures by name."""

    def __init__(self, **signatures):
        self.signatures = signatures


def spec(name, dtype="float32", *inner):
    return TensorSpec([None, *inner], dtype, name)


def types():
    """One signature for each dtype, which gives back what it gets."""
    return PlainModel(
        **{name: PlainSignature([spec("x", name, 2)], [spec("y", name, 2)], lambda x: {"y": x}) for name in DTYPES},
        wide=PlainSignature([spec("x", "float32", None)], [spec("y", "float32", None)], lambda x: {"y": x}),
        several=PlainSignature(
            [spec("a"), spec("b", "int64")],
            [spec("sum"), spec("difference"), spec("word", "string")],
            lambda a, b: {
                "sum": (a + b).astype(np.float32),
                "difference": (a - b).astype(np.float32),
                "word": np.array([str(value) for value in b.tolist()], object),
            },
        ),
    )


def slow():
    """A signature that takes its time."""

    def body(x):
        time.sleep(float(x.max()))
        return {"y": x}

    return PlainModel(serving_default=PlainSignature([spec("x")], [spec("y")], body))


def examples():
    """What TensorFlow's exporters make for classify and regress, and a signature whose inputs are features."""
    inputs = [spec("inputs", "string")]

    def lengths(texts):
        return np.array([len(text) for text in texts.tolist()], np.float32)

    def classify(texts):
        labels = np.array([["long", "short"]] * len(texts), object)
        return {"classes": labels, "scores": np.stack([lengths(texts), -lengths(texts)], 1)}

    def price(age, kind):
        return {"price": age + np.array([len(word) for word in kind.tolist()], np.float32)}

    return PlainModel(
        serving_default=PlainSignature(
            inputs, [spec("classes", "string", 2), spec("scores", "float32", 2)], classify, "classify"
        ),
        lengths=PlainSignature(inputs, [spec("outputs")], lambda texts: {"outputs": lengths(texts)}, "regress"),
        price=PlainSignature([spec("age"), spec("kind", "string")], [spec("price")], price, "regress"),
    )


def artifact(folder: Path) -> Path:
    """Save a small network as two versions, which differ in a factor."""
    for version in (1, 2):
        weights = {"w": np.eye(3, dtype=np.float32) * version}
        function = ServingFunction(
            lambda weights, values: {"y": values["x"] @ weights["w"]}, (spec("x", "float32", 3),), weights
        )
        save({"serving_default": function}, folder / str(version), golden={"x": np.ones((2, 3), np.float32)})
    return folder


def main() -> None:
    """Serve what is asked for: a folder to write to, then NAME=PATH of further models."""
    folder, *given = sys.argv[1:]
    models = {"types": types(), "slow": slow(), "examples": examples(), "net": artifact(Path(folder) / "net")}
    models |= dict(one.split("=", 1) for one in given)

    def ready(server: ModelServer) -> None:
        sys.stdout.write(f"port {server.grpc_port}\n")
        sys.stdout.flush()

    telemetry = TelemetryOptions(tensorflow_metrics_path="/monitoring/prometheus/metrics")
    serve(models, ServerOptions(rest_port=0, grpc_port=0, telemetry=telemetry), on_ready=ready)


if __name__ == "__main__":
    main()
