"""The model server: TF Serving's REST interface on one event loop, with batching that waits for no timer."""

from mainstay.serving.batching.options import BatchingOptions
from mainstay.serving.contract import ServedModel, ServedSignature
from mainstay.serving.options import ServerOptions
from mainstay.serving.running import serve
from mainstay.serving.server import ModelServer

__all__ = ["BatchingOptions", "ModelServer", "ServedModel", "ServedSignature", "ServerOptions", "serve"]
