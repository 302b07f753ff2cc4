"""Signatures as imported models of TensorFlow have them, without a compiler: tests of the REST interface serve them."""

import numpy as np

from mainstay.core import Signature, TensorSpec, message_class
from mainstay.hostops import HostInput
from mainstay.io import FixedLenFeature, parse_example


class ImportedSignature:
    """A signature whose graph says itself what shapes fit.

    Args:
        inputs: The specs of what it takes.
        outputs: The specs of what it gives.
        body: From arrays, in order, to the outputs by name.
        method: What it is for.
        rows: Whether rows of several requests may run together.
    """

    checks_shapes = False
    buckets = (1, 2, 4, 8)

    def __init__(self, inputs, outputs, body, *, method="predict", rows=True):
        self.inputs = tuple(HostInput(spec) for spec in inputs)
        self.signature = Signature(tuple(inputs), tuple(outputs))
        self.body = body
        self.method = f"tensorflow/serving/{method}"
        self.rows = rows
        self.whole = 0
        self.definition = message_class("tensorflow.SignatureDef")(method_name=self.method)
        for kind, specs in ((self.definition.inputs, inputs), (self.definition.outputs, outputs)):
            for spec in specs:
                kind[spec.name].name = f"graph/{spec.name}:0"
                kind[spec.name].dtype = 7 if spec.dtype == "string" else 1
                kind[spec.name].tensor_shape.dim.add(size=-1, name="batch")

    def warm_up(self, buckets=None):
        pass

    def run(self, columns):
        return self.body(*(column.values for column in columns))

    def run_whole(self, tensors):
        self.whole += 1
        return self.body(*tensors)


class ImportedModel:
    def __init__(self, **signatures):
        self.signatures = signatures


def floats(name, *shape):
    return TensorSpec(list(shape), "float32", name)


def half_plus(number):
    """Return TensorFlow Serving's model of its tutorials: y = x / 2 + 2, or + 3."""

    def predict(x):
        return {"y": np.asarray(x / 2 + number, np.float32)}

    def of_examples(name):
        def body(examples):
            found = parse_example(list(examples), {"x": FixedLenFeature([1], "float32")})["x"]
            return {name: np.asarray(found.reshape(-1, 1) / 2 + number, np.float32)}

        return body

    texts = [TensorSpec([None], "string", "inputs")]
    return ImportedModel(
        serving_default=ImportedSignature([floats("x", None, 1)], [floats("y", None, 1)], predict),
        **{
            "tensorflow/serving/regress": ImportedSignature(
                texts, [floats("outputs", None, 1)], of_examples("outputs"), method="regress"
            ),
            "classify_x_to_y": ImportedSignature(
                texts, [floats("scores", None, 1)], of_examples("scores"), method="classify"
            ),
        },
    )
