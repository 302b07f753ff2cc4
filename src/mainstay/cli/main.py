"""The `mainstay` command: parses arguments, runs one command, turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from mainstay import __version__
from mainstay.cli.serving_options import GroupedHelp, add_serving_options
from mainstay.core import MainstayError, request_stop

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name.

    Args:
        arguments: The words of the command line after ``mainstay``; None takes those of the process.

    Returns:
        The exit code: 0 for success, 2 for an error that a message explains, 130 after Ctrl-C.
    """
    words = sys.argv[1:] if arguments is None else arguments
    options = vars(_parser(words).parse_args(words))
    command: Callable[..., int | None] = options.pop("command")
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("jax").setLevel(logging.WARNING)
    if arguments is None:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        return command(**options) or 0
    except MainstayError as error:
        print(f"error[{error.code}]: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        if arguments is None:
            # Native threads may still be computing; an orderly shutdown of the interpreter under them can crash.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
        return EXIT_INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Stop at once, or at the next step of training where a native library swallows the exception."""
    request_stop()
    signal.default_int_handler(number, frame)


class _Parser(argparse.ArgumentParser):
    """Refuses a word that a command does not know in that command's name, with the option that comes nearest."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            asked = next((word.partition("=")[0] for word in unknown if word.startswith("-")), "")
            near = difflib.get_close_matches(asked, self._option_string_actions, 1) if asked else []
            self.error(
                "".join((f"unrecognized arguments: {' '.join(unknown)}", *(f"; did you mean {n}?" for n in near)))
            )
        return found, unknown


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mainstay",
        description="From a table to a served, verified model.",
        epilog="mainstay COMMAND --help says more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"mainstay {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_demo(commands)
    _add_serve(commands, words)
    _add_bench(commands)
    _add_verify(commands)
    _add_inspect(commands)
    _add_import(commands)
    _add_new_key(commands)
    _add_sign(commands)
    return parser


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="train a model on a table, measure it, package it, report on it",
        description="Read a table, check it, derive features, train, measure, package and report. A second run reuses "
        "every step whose inputs have not changed.",
    )
    parser.set_defaults(command=_run)
    parser.add_argument("data", metavar="DATA", help="a CSV or Parquet file, a glob in quotes, or a folder")
    parser.add_argument("--label", required=True, metavar="COLUMN", help="the column to predict")
    _add_training_options(parser)
    parser.add_argument("--exclude", action="append", default=[], metavar="COLUMN", help="leave a column out (repeat)")
    parser.add_argument(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="auto: numbers with more than 20 values or fractions are a regression (default)",
    )
    parser.add_argument("--preprocessing", metavar="FILE.py:FUNCTION", help="your own preprocessing_fn(inputs)")
    parser.add_argument("--model", metavar="FILE.py:FUNCTION", help="your own model(features, label)")


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="the same on made-up card transactions, without any data of yours",
        description="Make a table of synthetic card transactions with a known fraud signal, then do what "
        "`mainstay run` does.",
    )
    parser.set_defaults(command=_demo)
    parser.add_argument("--rows", type=int, default=30_000, help="rows to make (default 30000)")
    _add_training_options(parser)


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("out"), metavar="DIR", help="where to (default out)")
    parser.add_argument(
        "--epochs", type=_positive, default=40, help="the most epochs; training stops early (default 40)"
    )
    parser.add_argument("--seed", type=_seed, default=1, help="chooses initial weights and shuffling (default 1)")
    parser.add_argument("--serve", action="store_true", help="serve the model at the end")
    parser.add_argument("--port", type=_port, default=8501, help="the port of --serve (default 8501)")
    parser.add_argument("--quiet", action="store_true", help="show results only")


def _add_serve(commands: Any, words: Sequence[str]) -> None:
    parser = commands.add_parser(
        "serve",
        help="serve models over HTTP and gRPC",
        description="Serve models over TensorFlow Serving's REST and gRPC interfaces until SIGTERM or Ctrl-C. SIGHUP "
        "has files read again. Every option may be written with underscores, as TensorFlow Serving does.",
        formatter_class=GroupedHelp,
        allow_abbrev=False,
    )
    parser.set_defaults(command=_serve, words=tuple(words))
    add_serving_options(parser)
    _add_trust_options(parser.add_argument_group("signatures of models"))


def _add_bench(commands: Any) -> None:
    parser = commands.add_parser("bench", help="measure a model server under load", description="Measure something.")
    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    parser = kinds.add_parser(
        "serve",
        help="a model server under load",
        description="Send predict requests to a model server of Mainstay or TensorFlow Serving, at given rates "
        "whatever becomes of them, and show what the answers took from when each request was due.",
    )
    parser.set_defaults(command=_bench_serve)
    parser.add_argument("address", metavar="ADDRESS", help="http://host:port or grpc://host:port")
    parser.add_argument("--model", required=True, metavar="NAME", help="the model to ask")
    parser.add_argument("--signature", default="", metavar="NAME", help="its signature (default serving_default)")
    parser.add_argument("--inputs", type=Path, metavar="FILE.json", help="the inputs by name; by default made up")
    parser.add_argument("--rows", type=_positive, default=1, help="rows to make up in each request (default 1)")
    parser.add_argument(
        "--rates", type=_rates, metavar="A,B,…", help="requests per second, one step for each; by default all it takes"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each step lasts (default 10)")
    parser.add_argument("--connections", type=_positive, default=64, help="the most requests at a time (default 64)")
    parser.add_argument(
        "--arrivals", choices=("random", "even"), default="random", help="how requests are spaced (default random)"
    )
    parser.add_argument("--token", metavar="TOKEN", help="a bearer token to show")
    parser.add_argument("--ca", type=Path, metavar="FILE.pem", help="the authorities to trust, for https and grpcs")
    parser.add_argument("--json", type=Path, dest="json_file", metavar="FILE", help="write the figures there")
    parser.add_argument("--plot", type=Path, dest="plot_file", metavar="FILE.svg", help="draw latencies over rates")


def _add_verify(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="check that a saved model is whole and reproduces its sealed answers",
        description="Check every file of a saved model against its digest and replay its golden requests.",
    )
    parser.set_defaults(command=_verify)
    parser.add_argument("path", type=Path, metavar="PATH", help="the folder of a saved model")
    _add_trust_options(parser)


def _add_new_key(commands: Any) -> None:
    parser = commands.add_parser(
        "new-key",
        help="make a key pair to sign models with",
        description="Make a private key (curve P-256), and beside it the public key that others check signatures with.",
    )
    parser.set_defaults(command=_new_key)
    parser.add_argument("path", type=Path, metavar="PATH", help="a new file, such as release.pem")
    _add_password_option(parser)


def _add_sign(commands: Any) -> None:
    parser = commands.add_parser(
        "sign",
        help="sign a saved model, so that others can tell who made it",
        description="Write a signature of every file of a saved model into it, in the format of OpenSSF model signing.",
    )
    parser.set_defaults(command=_sign)
    parser.add_argument("path", type=Path, metavar="PATH", help="the folder of a saved model")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE.pem", help="the private key")
    _add_password_option(parser)


def _add_password_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-variable", metavar="NAME", help="the environment variable that holds the private key's password"
    )


def _add_trust_options(parser: Any) -> None:
    parser.add_argument("--require-signature", action="store_true", help="refuse a model that no trusted key signed")
    parser.add_argument("--trust", type=Path, metavar="POLICY.json", help="the keys to trust, and what is revoked")
    parser.add_argument(
        "--public-key", type=Path, action="append", default=[], metavar="FILE.pem", help="a key to trust (repeat)"
    )


def _add_inspect(commands: Any) -> None:
    parser = commands.add_parser(
        "inspect",
        help="say what a saved model is and what loads it",
        description="Print the signatures of a saved model, of Mainstay or of TensorFlow, what loads which of them, "
        "its size and origin, and for a model of TensorFlow the ops that are not read here.",
    )
    parser.set_defaults(command=_inspect)
    parser.add_argument("path", type=Path, metavar="PATH", help="the folder of a saved model")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")


def _add_import(commands: Any) -> None:
    parser = commands.add_parser(
        "import",
        help="make an artifact of a SavedModel that TensorFlow wrote",
        description="Convert a SavedModel of TensorFlow once. The artifact loads faster and is verified.",
    )
    parser.set_defaults(command=_import)
    parser.add_argument("path", type=Path, metavar="PATH", help="the folder of a SavedModel")
    parser.add_argument("output", type=Path, metavar="OUT", help="where the artifact goes")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def _rates(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no list of rates such as 100,200") from None


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{value} is not a seed (0 to 4294967295)")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{value} is not a port (0 to 65535)")
    return value


def _run(**options: Any) -> None:
    from mainstay.cli.road import run

    run(options.pop("data"), **options)


def _demo(**options: Any) -> None:
    from mainstay.cli.road import demo

    demo(**options)


class _TextFormatter(logging.Formatter):
    """Makes lines of text, in which warnings and errors say that they are."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


def _serve(*, words: tuple[str, ...], log_format: str, **values: Any) -> int:
    from mainstay.cli.server import serve, worker_command
    from mainstay.cli.serving_settings import serving_of
    from mainstay.serving import JsonFormatter

    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter() if log_format == "json" else _TextFormatter())
    trust = _trust(**{name: values.pop(name) for name in ("require_signature", "trust", "public_key")})
    return serve(serving_of(values, trust=trust), command=worker_command(words))


def _bench_serve(
    address: str,
    *,
    rates: list[float] | None,
    seconds: float,
    connections: int,
    arrivals: str,
    **options: Any,
) -> None:
    from mainstay.cli.load import bench_serve, read_inputs
    from mainstay.serving import LoadRequest, LoadStep

    files = {name: options.pop(name) for name in ("json_file", "plot_file")}
    inputs, options["tls"] = options.pop("inputs"), options.pop("ca")
    request = LoadRequest(inputs=None if inputs is None else read_inputs(inputs), **options)
    wanted: list[float | None] = [None] if rates is None else [*rates]
    steps = [LoadStep(rate, seconds, connections, arrivals) for rate in wanted]
    bench_serve(address, request, steps, **files)


def _verify(path: Path, **trust: Any) -> None:
    from mainstay.cli.verification import verify

    verify(path, trust=_trust(**trust))


def _trust(*, require_signature: bool, trust: Path | None, public_key: list[Path]) -> Any:
    if not (require_signature or trust or public_key):
        return None
    from mainstay.cli.signing import trust_of

    return trust_of(trust, public_key, required=require_signature)


def _new_key(path: Path, password_variable: str | None) -> None:
    from mainstay.cli.signing import new_key

    new_key(path, password_variable=password_variable)


def _sign(path: Path, key: Path, password_variable: str | None) -> None:
    from mainstay.cli.signing import sign

    sign(path, key, password_variable=password_variable)


def _inspect(path: Path, as_json: bool) -> None:
    from mainstay.cli.inspection import inspect

    inspect(path, as_json=as_json)


def _import(path: Path, output: Path) -> None:
    from mainstay.cli.inspection import import_model

    import_model(path, output)
