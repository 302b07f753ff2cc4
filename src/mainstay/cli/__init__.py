"""The command line: every command is a public function with arguments."""

from mainstay.cli.inspection import import_model, inspect
from mainstay.cli.main import main
from mainstay.cli.road import demo, run
from mainstay.cli.server import Serving, serve
from mainstay.cli.signing import new_key, sign
from mainstay.cli.verification import verify

__all__ = ["Serving", "demo", "import_model", "inspect", "main", "new_key", "run", "serve", "sign", "verify"]
