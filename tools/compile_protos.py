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
    """Return the descriptor set of every `.proto` file under `folder`, each after the files that it imports."""
    import grpc_tools
    from grpc_tools import protoc

    # The messages of Google's own that a file may import, such as `google/protobuf/struct.proto`.
    known = Path(grpc_tools.__file__).parent / "_proto"
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "set"
        status = protoc.main(
            ["protoc", f"-I{folder}", f"-I{known}", "--include_imports", f"--descriptor_set_out={output}", *files]
        )
        if status:
            raise SystemExit(status)
        return output.read_bytes()


if __name__ == "__main__":
    compiled = compile_protos()
    (PROTOS / "descriptors.binpb").write_bytes(compiled)
    sys.stdout.write(f"{len(compiled):,} bytes\n")
