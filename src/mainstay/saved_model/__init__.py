"""The artifact: a model with everything it needs, saved, verified and loaded without the code that made it."""

from mainstay.saved_model.contents import Contents, read_contents
from mainstay.saved_model.engines import Engine, register_engine
from mainstay.saved_model.foreign import UnsupportedOp, unsupported_ops
from mainstay.saved_model.imports import import_model
from mainstay.saved_model.inspection import Inspection, inspect
from mainstay.saved_model.keras_models import from_keras_model
from mainstay.saved_model.loaded_functions import LoadedFunction, LoadedVariable
from mainstay.saved_model.loaded_model import LoadedModel
from mainstay.saved_model.loaded_signature import LoadedSignature
from mainstay.saved_model.loading import load
from mainstay.saved_model.manifest import FORMAT_VERSION, Manifest
from mainstay.saved_model.runtime import tune_for_serving
from mainstay.saved_model.save_report import SaveReport
from mainstay.saved_model.saving import save
from mainstay.saved_model.serving_function import ServingFunction
from mainstay.saved_model.signing.keys import PrivateKey, PublicKey, new_signing_key
from mainstay.saved_model.signing.signatures import SignatureReport, sign, verify_signature
from mainstay.saved_model.signing.trust import Trust
from mainstay.saved_model.torch_programs.programs import from_torch
from mainstay.saved_model.verification import VerifyReport, verify, verify_in_fresh_process

__all__ = [
    "FORMAT_VERSION",
    "Contents",
    "Engine",
    "Inspection",
    "LoadedFunction",
    "LoadedModel",
    "LoadedSignature",
    "LoadedVariable",
    "Manifest",
    "PrivateKey",
    "PublicKey",
    "SaveReport",
    "ServingFunction",
    "SignatureReport",
    "Trust",
    "UnsupportedOp",
    "VerifyReport",
    "from_keras_model",
    "from_torch",
    "import_model",
    "inspect",
    "load",
    "new_signing_key",
    "read_contents",
    "register_engine",
    "save",
    "sign",
    "tune_for_serving",
    "unsupported_ops",
    "verify",
    "verify_in_fresh_process",
    "verify_signature",
]
