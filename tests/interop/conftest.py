"""The real TensorBoard, in an environment of its own and without TensorFlow, over logs that Mainstay wrote."""

import json
import os
import re
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import interop_env
import numpy as np
import pytest

_PATIENCE_SECONDS = 60


def skip_without(what: str, fix: str) -> NoReturn:
    """Skip the test, or fail it where everything should have been set up for it."""
    reason = f"{what} is missing; run: {fix}"
    if os.environ.get("MAINSTAY_INTEROP") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def missing() -> Callable[[str, str], NoReturn]:
    """Skips the test for want of something, or fails it where everything should have been set up for it."""
    return skip_without


@pytest.fixture(scope="session")
def tensorboard_python() -> Path:
    """The Python of the environment with TensorBoard."""
    if not interop_env.is_current("tensorboard"):
        skip_without(".interop/tensorboard", "python tools/interop_env.py tensorboard")
    return interop_env.python_of("tensorboard")


class Board:
    """A TensorBoard that runs."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def get(self, path: str) -> bytes:
        """The body of an answer; an answer that is no success is an error."""
        with self._open(f"{self.address}data/{path}", timeout=60) as answer:
            body: bytes = answer.read()
        if body.startswith(b"\x1f\x8b"):
            import gzip

            body = gzip.decompress(body)
        return body

    def json(self, path: str, **body: Any) -> Any:
        """The parsed body of an answer; a `body` is sent by POST."""
        if not body:
            return json.loads(self.get(path))
        request = urllib.request.Request(
            f"{self.address}data/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with self._open(request, timeout=60) as answer:
            return json.loads(answer.read())

    def wait_for(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """Ask until the answer is as it should be: TensorBoard reads its files in the background."""
        pause = threading.Event()
        for _ in range(5 * _PATIENCE_SECONDS):
            answer = self.json(path)
            if holds(answer):
                return answer
            pause.wait(0.2)
        raise AssertionError(f"{path} stayed {answer}")


@contextmanager
def run_board(python: Path, folder: Path, load_fast: str) -> Iterator[Board]:
    """TensorBoard over a folder."""
    command = [python, "-m", "tensorboard.main", "--logdir", folder, "--port", "0", "--load_fast", load_fast]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TENSORBOARD"))}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if match := re.search(r"http://\S+:\d+/", line):
                    break
            else:
                raise AssertionError("".join(said))
            # What it says later must not fill the pipe and stop it.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            runs = {file.parent.relative_to(folder).as_posix() for file in folder.rglob("*tfevents*")}
            board = Board(match[0])
            board.wait_for("runs", lambda names: runs <= set(names))
            yield board
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def start_board(tensorboard_python: Path) -> Callable[[Path, str], AbstractContextManager[Board]]:
    """Starts TensorBoard over a folder, with its reader of event files in Rust ("true") or in Python ("false")."""
    return partial(run_board, tensorboard_python)


@pytest.fixture(scope="session", params=["true", "false"], ids=["fast loader", "slow loader"])
def board(request: pytest.FixtureRequest, start_board, logs: Path) -> Iterator[Board]:
    """TensorBoard over the logs, once with each of its readers."""
    with start_board(logs, request.param) as board:
        yield board


@pytest.fixture(scope="session")
def slow_board(start_board, logs: Path) -> Iterator[Board]:
    """TensorBoard over the logs, with its reader in Python."""
    with start_board(logs, "false") as board:
        yield board


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the callback and `mainstay.summary` wrote: a training, notes of every kind, and an experiment."""
    folder = tmp_path_factory.mktemp("logs")
    train(folder / "run")
    write_notes(folder / "notes")
    write_trials(folder / "trials")
    return folder


def train(folder: Path) -> None:
    """Train a small model with everything that the callback offers."""
    from mainstay import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    words = rng.integers(0, 50, (512, 6))
    pictures = rng.random((512, 8, 8, 1), "float32")
    labels = (words[:, 0] > 25).astype("int32")
    layers = keras.layers
    inputs = {
        "words": keras.Input((6,), dtype="int32", name="words"),
        "picture": keras.Input((8, 8, 1), name="picture"),
    }
    meaning = layers.GlobalAveragePooling1D(name="mean")(layers.Embedding(50, 8, name="vocabulary")(inputs["words"]))
    seen = layers.Flatten(name="flat")(layers.Conv2D(4, 3, activation="relu", name="conv")(inputs["picture"]))
    joined = layers.Concatenate(name="join")([meaning, seen])
    hidden = layers.Dropout(0.2, name="drop")(layers.Dense(16, activation="relu", name="hidden")(joined))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", name="answer")(hidden), name="small")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    folder.mkdir(parents=True)
    (folder / "words.tsv").write_text("".join(f"word {number}\n" for number in range(50)))
    board = keras.callbacks.TensorBoard(
        folder,
        histogram_freq=1,
        write_images=True,
        write_steps_per_second=True,
        update_freq=4,
        profile_batch="5,8",
        embeddings_freq=1,
        embeddings_metadata={"vocabulary": "words.tsv"},
    )
    data = {"words": words, "picture": pictures}
    model.fit(data, labels, batch_size=32, epochs=6, validation_split=0.25, verbose=0, callbacks=[board])


def write_notes(folder: Path) -> None:
    """Write one series of each kind with the functions of `mainstay.summary`."""
    from mainstay import summary

    rng = np.random.default_rng(0)
    writer = summary.create_file_writer(folder)
    with writer.as_default():
        for step in range(20):
            summary.scalar("curve/sine", np.sin(step / 3), step=step, description="A *sine*.")
            summary.scalar("curve/holes", float("nan") if step % 3 else step, step=step)
            summary.histogram("spread", rng.normal(step / 5, 1, 1000), step=step)
        rows, columns = np.mgrid[0:48, 0:64] / 64
        summary.image("gradient", np.stack([rows, columns, 1 - rows], -1)[None], step=3)
        summary.text("note", "# Title\n\nSome **bold** words.", step=0)
        summary.graph(lambda x, y: np.tanh(1) * x @ y, np.ones((2, 3), "float32"), np.ones((3, 4), "float32"))
    writer.close()


def write_trials(folder: Path) -> None:
    """Write an experiment of two trials."""
    from mainstay import summary

    rate = summary.HParam("rate", summary.Interval(0, 1))
    kind = summary.HParam("optimizer", summary.Discrete(["adam", "sgd"]))
    writer = summary.create_file_writer(folder)
    with writer.as_default():
        summary.hparams_config([rate, kind], [summary.Metric("accuracy", display_name="Accuracy")])
    writer.close()
    for number, (value, name) in enumerate([(0.1, "adam"), (0.5, "sgd")]):
        writer = summary.create_file_writer(folder / str(number))
        with writer.as_default():
            summary.hparams({rate: value, kind: name})
            summary.scalar("accuracy", 0.9 - value / 10, step=0)
            summary.scalar("accuracy", 0.95 - value / 10, step=1)
            summary.hparams_end()
        writer.close()
