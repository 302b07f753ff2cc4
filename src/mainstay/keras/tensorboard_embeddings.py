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

    They lie in the folder of the training, which TensorBoard finds from any folder above. It serves nothing from
    outside that folder, so that the files with metadata are copied there.

    Args:
        model: The model.
        log_dir: The folder of the callback.
        metadata: A file with one line for each row of the tables, or one such file by the name of the layer; paths
            start at `log_dir` or at the working directory.

    Raises:
        ArgumentError: The metadata names a layer or a file that is not there.
    """

    def __init__(self, model: Any, log_dir: str, metadata: str | os.PathLike[str] | Mapping[str, Any] | None) -> None:
        self._folder = Path(log_dir) / "train"
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
            name: _found(os.fspath(path), Path(log_dir)) for name, path in by_layer.items() if path is not None
        }

    def write(self) -> None:
        """Write every table, then the configuration that names them.

        Raises:
            StorageError: The file system refused.
        """
        entries = []
        for name, layer in self._layers.items():
            values = np.asarray(layer.embeddings.value, np.float32)
            file = f"keras_embedding-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}"
            _write_table(self._folder / f"{file}.tsv", values)
            fields = {"tensor_name": f"{name}/embeddings", "tensor_path": f"{file}.tsv"}
            if name in self._metadata:
                fields["metadata_path"] = f"{file}-metadata.tsv"
                with storage_errors(self._metadata[name], "read"):
                    labels = self._metadata[name].read_bytes()
                write_bytes(self._folder / fields["metadata_path"], labels)
            lines = [f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
            lines += [f"  tensor_shape: {length}" for length in values.shape]
            entries.append("embeddings {\n" + "\n".join(lines) + "\n}\n")
        if entries:
            write_text(self._folder / CONFIGURATION, "".join(entries))


def _embeddings(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, Embedding):
            yield layer
        elif hasattr(layer, "layers"):
            yield from _embeddings(layer)


def _found(name: str, log_dir: Path) -> Path:
    for path in (log_dir / name, Path(name)):
        if path.is_file():
            return path
    raise ArgumentError(
        "there is no such file with metadata",
        where="embeddings_metadata",
        received=name,
        fix=f"write it to {log_dir / name} before training, one line for each row of the table",
    )


def _write_table(path: Path, values: np.ndarray[Any, Any]) -> None:
    columns = [pa.array(np.ascontiguousarray(column)) for column in values.T]
    table = pa.table(columns, names=[str(number) for number in range(len(columns))])
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with atomic_file(path) as file:
        pyarrow.csv.write_csv(table, file, options)
