"""Runs graphs in real TensorFlow, in a process of its own.

    python run_graphs.py FOLDER

For every `NAME.pb` in FOLDER, a GraphDef with placeholders ``input_0`` and a call ``main``, and every `NAME.K.npz` with
inputs, `NAME.K.out.npz` gets the results, or `NAME.K.error` what TensorFlow said. Arrays of dtypes that NumPy does not
have are stored as the bits of integers; their dtypes are in the array ``dtypes``.
"""

import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import tensorflow as tf


def load(file):
    """The arrays of a file, in order."""
    with np.load(file) as arrays:
        dtypes = [str(each) for each in arrays["dtypes"]]
        return [
            arrays[f"a{index}"].view(ml_dtypes.bfloat16) if dtype == "bfloat16" else arrays[f"a{index}"]
            for index, dtype in enumerate(dtypes)
        ]


def save(file, arrays):
    """Write arrays, in order."""
    arrays = [np.asarray(array) for array in arrays]
    plain = [array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array for array in arrays]
    np.savez(file, dtypes=np.array([str(array.dtype) for array in arrays]), **{f"a{i}": a for i, a in enumerate(plain)})


def run(folder):
    """Run every graph of a folder on all its inputs."""
    for file in sorted(folder.glob("*.pb")):
        given = sorted(each for each in folder.glob(f"{file.stem}.*.npz") if not each.name.endswith(".out.npz"))
        try:
            definition = tf.compat.v1.GraphDef.FromString(file.read_bytes())
            with tf.Graph().as_default() as graph:
                tf.import_graph_def(definition, name="")
            call = graph.get_operation_by_name("main")
            with tf.compat.v1.Session(graph=graph) as session:
                for inputs in given:
                    feeds = {f"input_{index}:0": array for index, array in enumerate(load(inputs))}
                    save(inputs.with_suffix(".out.npz"), session.run(list(call.outputs), feeds))
        except Exception as error:
            (folder / f"{file.stem}.error").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
