"""Compile the `.proto` files of `mainstay.core` into the one descriptor set that the package carries.

    python tools/compile_protos.py            # writes src/mainstay/core/protos/descriptors.binpb

Needs grpcio-tools, at development time only.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parent.parent / "src" / "mainstay" / "core" / "protos"


def compile_protos(folder: Path = PROTOS) -> bytes:
    """Return the descriptor set of every `.proto` file under `folder`, in the order of their paths."""
    from grpc_tools import protoc

    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "set"
        status = protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={output}", *files])
        if status:
            raise SystemExit(status)
        return output.read_bytes()


if __name__ == "__main__":
    compiled = compile_protos()
    (PROTOS / "descriptors.binpb").write_bytes(compiled)
    sys.stdout.write(f"{len(compiled):,} bytes\n")
