"""The requests that all servers get, as files for the load generators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_SCRIPT = """local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.headers["Content-Type"] = "{kind}"
wrk.body = file:read("*all")
done = function(summary, latency, requests)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors + summary.errors.timeout, latency.max))
end
"""


def row() -> np.ndarray[Any, Any]:
    """Return the row that is asked for, `[1, 784]` float32."""
    return np.random.default_rng(1).random((1, 784)).astype(np.float32)


def image() -> np.ndarray[Any, Any]:
    """Return the image that is asked for, `[1, 224, 224, 3]` float32."""
    return np.random.default_rng(2).random((1, 224, 224, 3)).astype(np.float32)


def write(folder: Path) -> None:
    """Write every body, and for each that goes over HTTP/1.1 a script of wrk that sends it."""
    x = row()
    texts = {
        "rows": {"instances": x.tolist()},
        "image": {"instances": image().tolist()},
        "v2": {"inputs": [{"name": "x", "shape": [1, 784], "datatype": "FP32", "data": x.ravel().tolist()}]},
        "bento": {"x": x.tolist()},
    }
    for name, document in texts.items():
        (folder / f"{name}.json").write_text(json.dumps(document, separators=(",", ":")))
        _script(folder, name, folder / f"{name}.json", "application/json")
    np.save(folder / "image.npy", image())
    _script(folder, "image-npy", folder / "image.npy", "application/x-npy")
    (folder / "predict.bin").write_bytes(_framed(_predict_request(x)))
    (folder / "infer.bin").write_bytes(_framed(_infer_request(x)))


def _script(folder: Path, name: str, body: Path, kind: str) -> None:
    (folder / f"{name}.lua").write_text(_SCRIPT.format(body=body, kind=kind))


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
    return bytes(data)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _predict_request(x: np.ndarray[Any, Any]) -> bytes:
    axes = b"".join(_field(2, b"\x08" + _varint(size)) for size in x.shape)
    tensor = b"\x08\x01" + _field(2, axes) + _field(4, x.tobytes())
    return _field(1, _field(1, b"m")) + _field(2, _field(1, b"x") + _field(2, tensor))


def _infer_request(x: np.ndarray[Any, Any]) -> bytes:
    shape = _field(3, b"".join(map(_varint, x.shape)))
    return _field(1, b"m") + _field(5, _field(1, b"x") + _field(2, b"FP32") + shape) + _field(7, x.tobytes())
