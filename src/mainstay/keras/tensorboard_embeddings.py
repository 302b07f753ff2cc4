"""The embeddings that the TensorBoard callback writes for the Projector page, which reads tab-separated values."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from keras.layers import Embedding

from mainstay.core import ArgumentError, atomic_file, storage_errors, write_bytes, write_text

CONFIGURATION = "projector_config.pbtxt"


class Projector:
    """Writes the tables of a model's embedding layers, the last epoch's over that before.

    TensorBoard serves nothing from outside the folder of the configuration, so metadata files from elsewhere are
    copied there.

    Args:
        model: The model.
        log_dir: The folder that TensorBoard watches.
        metadata: A file with one line for each row of the tables, or one such file by the name of the layer.

    Raises:
        ArgumentError: The metadata names a layer that is not there, or a file outside `log_dir` that is not there.
    """

    def __init__(self, model: Any, log_dir: str, metadata: str | os.PathLike[str] | Mapping[str, Any] | None) -> None:
        self._log_dir = Path(log_dir)
        self._layers = {layer.name: layer for layer in _embeddings(model)}
        by_layer = metadata if isinstance(metadata, Mapping) else dict.fromkeys(self._layers, metadata)
        if unknown := sorted(set(by_layer) - set(self._layers)):
            raise ArgumentError(
                "there is no embedding layer of this name",
                where="embeddings_metadata",
                expected=", ".join(sorted(self._layers)) or "a model with embedding layers",
                received=", ".join(unknown),
            )
        self._metadata = {
            name: self._placed(name, Path(os.fspath(path))) for name, path in by_layer.items() if path is not None
        }

    def write(self) -> None:
        """Write every table, then the configuration that names them.

        Raises:
            StorageError: The file system refused.
        """
        entries = []
        for name, layer in self._layers.items():
            values = np.asarray(layer.embeddings.value, np.float32)
            path = f"train/keras_embedding-{_file_name(name)}.tsv"
            _write_table(self._log_dir / path, values)
            fields = {
                "tensor_name": f"{name}/embeddings",
                "metadata_path": self._metadata.get(name),
                "tensor_path": path,
            }
            lines = [f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items() if value]
            lines += [f"  tensor_shape: {length}" for length in values.shape]
            entries.append("embeddings {\n" + "\n".join(lines) + "\n}\n")
        if entries:
            write_text(self._log_dir / CONFIGURATION, "".join(entries))

    def _placed(self, layer: str, path: Path) -> str:
        """Return the path of a metadata file from the log folder on; a file from elsewhere is copied into it."""
        inside = (self._log_dir / path).resolve()
        if inside.is_relative_to(self._log_dir.resolve()) and (inside.exists() or not path.exists()):
            return inside.relative_to(self._log_dir.resolve()).as_posix()
        if not path.is_file():
            raise ArgumentError("there is no such metadata file", where="embeddings_metadata", received=os.fspath(path))
        copied = f"train/keras_embedding-{_file_name(layer)}-metadata.tsv"
        with storage_errors(path, "read"):
            data = path.read_bytes()
        write_bytes(self._log_dir / copied, data)
        return copied


def _embeddings(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, Embedding):
            yield layer
        elif hasattr(layer, "layers"):
            yield from _embeddings(layer)


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _write_table(path: Path, values: np.ndarray[Any, Any]) -> None:
    columns = [pa.array(np.ascontiguousarray(column)) for column in values.T]
    table = pa.table(columns, names=[str(number) for number in range(len(columns))])
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with atomic_file(path) as file:
        pyarrow.csv.write_csv(table, file, options)
