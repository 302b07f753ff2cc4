"""The ground floor: errors, atomic files, digests, progress, tensor specs and signatures."""

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
from mainstay.core.files import atomic_file, atomic_folder, storage_errors, write_bytes, write_json, write_text
from mainstay.core.progress import Progress, quiet, track
from mainstay.core.protos import message_class
from mainstay.core.specs import DTYPES, Signature, TensorSpec

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
    "list_files",
    "message_class",
    "quiet",
    "storage_errors",
    "track",
    "write_bytes",
    "write_json",
    "write_text",
]
