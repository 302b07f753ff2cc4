"""Computes every case of this folder with the real TensorFlow: `python run.py OUT.npz`.

Results are arrays under ``number/output``; a case that TensorFlow refuses has its message under ``number/error``.
"""

import importlib
import sys
from pathlib import Path

import numpy as np

QUANTIZED = {("Dequantize", "input"), ("UniformDequantize", "input")}
"""Inputs that are integers here and quantised integers there."""


def load():
    """Return all cases, in the order of the files' names."""
    import case

    for path in sorted(Path(__file__).parent.glob("cases_*.py")):
        importlib.import_module(path.stem)
    return case.CASES


def stored(array):
    """Return an array as one that needs no pickle: strings in hexadecimal, bfloat16 as float32."""
    if array.dtype == object:
        return np.array([text.hex() for text in array.ravel().tolist()], "U").reshape(array.shape)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def main(out):
    import tensorflow as tf

    quantized = {np.dtype(np.uint8): tf.quint8, np.dtype(np.int8): tf.qint8, np.dtype(np.int32): tf.qint32}
    plain = {kind: dtype.name for dtype, kind in quantized.items()}

    def convert(value, is_quantized):
        if isinstance(value, np.ndarray):
            tensor = tf.constant(value)
            return tf.bitcast(tensor, quantized[value.dtype]) if is_quantized else tensor
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            return [tf.constant(each) for each in value]
        return value

    found = {}
    for number, each in enumerate(load()):
        try:
            values = {name: convert(value, (each.op, name) in QUANTIZED) for name, value in each.values.items()}
            results = getattr(tf.raw_ops, each.op)(**values)
        except Exception as error:
            found[f"{number}/error"] = np.array(f"{type(error).__name__}: {error}"[:500])
            continue
        for output, result in enumerate(tf.nest.flatten(results)):
            result = tf.bitcast(result, plain[result.dtype]) if result.dtype in plain else result
            array = np.asarray(result.numpy(), object if result.dtype == tf.string else None)
            found[f"{number}/{output}"] = stored(array)
            found[f"{number}/{output}/dtype"] = np.array(array.dtype.name)
    np.savez(out, **found)


if __name__ == "__main__":
    main(sys.argv[1])
