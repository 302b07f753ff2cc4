"""The ground floor: errors, atomic files, digests, progress, tensor specs and signatures."""

from mainstay.core.checksums import masked_crc32c
from mainstay.core.digests import digest_bytes, digest_file, digest_json, digest_tree, list_files
from mainstay.core.errors import (
    ArgumentError,
    ArtifactError,
    DataError,
    FormatError,
    InputError,
    IntegrityError,
    MainstayError,
    MetadataError,
    ModelError,
    ParityError,
    PipelineError,
    RequestError,
    SchemaError,
    SetupError,
    StorageError,
    TransformError,
    UnavailableError,
)
from mainstay.core.files import (
    atomic_file,
    atomic_folder,
    install,
    storage_errors,
    write_bytes,
    write_json,
    write_text,
)
from mainstay.core.progress import Progress, quiet, request_stop, track
from mainstay.core.protos import message_class
from mainstay.core.specs import DTYPES, Signature, TensorSpec
from mainstay.core.text import format_number, format_percent

__all__ = [
    "DTYPES",
    "ArgumentError",
    "ArtifactError",
    "DataError",
    "FormatError",
    "InputError",
    "IntegrityError",
    "MainstayError",
    "MetadataError",
    "ModelError",
    "ParityError",
    "PipelineError",
    "Progress",
    "RequestError",
    "SchemaError",
    "SetupError",
    "Signature",
    "StorageError",
    "TensorSpec",
    "TransformError",
    "UnavailableError",
    "atomic_file",
    "atomic_folder",
    "digest_bytes",
    "digest_file",
    "digest_json",
    "digest_tree",
    "format_number",
    "format_percent",
    "install",
    "list_files",
    "masked_crc32c",
    "message_class",
    "quiet",
    "request_stop",
    "storage_errors",
    "track",
    "write_bytes",
    "write_json",
    "write_text",
]
