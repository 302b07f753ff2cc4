"""Engines: the fastest that answers rightly is chosen, remembered, and can be asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mainstay.core import ArgumentError, ParityError
from mainstay.saved_model import engines, load, register_engine, save
from mainstay.saved_model.engines import Choices, fastest


class Wrapped:
    """An engine that does what XLA does, with a mistake of some size."""

    version = "1"

    def __init__(self, name: str, mistake: float = 0.0) -> None:
        self.name = name
        self.mistake = mistake
        self.made = 0

    def can_run(self, program: Any) -> bool:
        return len(program.results) == 1

    def executables(self, program: Any, weights: Any) -> Any:
        self.made += 1
        inner = engines.XlaEngine().executables(program, weights)
        inner.run = lambda *args, run=inner.run: [value + np.float32(self.mistake) for value in run(*args)]
        return inner


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setattr(engines, "_engines", dict(engines._engines))
    monkeypatch.setattr("mainstay.saved_model.loading.engine_choices", lambda: tmp_path / "choices")

    def register(engine: Wrapped) -> Wrapped:
        register_engine(engine)
        return engine

    return register


def test_the_fastest_of_those_that_answer_rightly_is_chosen() -> None:
    times = {"xla": 3.0, "quick": 1.0, "wrong": 0.1}
    now = [0.0]

    def ask(name: str) -> None:
        now[0] += times[name]
        if name == "wrong":
            raise ParityError("another answer")

    chosen, seconds = fastest(list(times), ask, clock=lambda: now[0])
    assert chosen == "quick"
    assert seconds == pytest.approx({"xla": 3.0, "quick": 1.0})


def test_a_wrong_answer_of_the_first_engine_is_an_error() -> None:
    def ask(name: str) -> None:
        raise ParityError("another answer")

    with pytest.raises(ParityError):
        fastest(["xla", "other"], ask)


def test_an_engine_can_be_asked_for_and_a_wrong_one_is_refused(linear: Any, tmp_path: Path, registered: Any) -> None:
    other = registered(Wrapped("other"))
    registered(Wrapped("wrong", 1.0))
    save(linear(), tmp_path / "m", tensorflow=None)
    assert load(tmp_path / "m", engine="other", buckets=[4]).signatures["serving_default"]([1.0])["y"] == 2.0
    assert other.made == 1
    with pytest.raises(ParityError):
        load(tmp_path / "m", engine="wrong", buckets=[4])
    with pytest.raises(ArgumentError, match="no such engine"):
        load(tmp_path / "m", engine="none")


def test_a_choice_is_measured_once_and_kept_outside_of_the_artifact(
    linear: Any, tmp_path: Path, registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(Wrapped("other"))
    registered(Wrapped("wrong", 1.0))
    save(linear(), tmp_path / "m", tensorflow=None)
    before = sorted(path for path in (tmp_path / "m").rglob("*"))
    load(tmp_path / "m", buckets=[4])
    assert sorted(path for path in (tmp_path / "m").rglob("*")) == before
    assert len(list((tmp_path / "choices").iterdir())) == 1

    def never(*_: Any) -> None:
        raise AssertionError("it is measured again")

    monkeypatch.setattr("mainstay.saved_model.loading.fastest", never)
    assert load(tmp_path / "m", buckets=[4]).signatures["serving_default"]([1.0])["y"] == 2.0


def test_a_damaged_or_foreign_choice_is_no_choice(tmp_path: Path) -> None:
    choices = Choices(tmp_path)
    assert choices.get({"program": "a"}) is None
    choices.put({"program": "a"}, "xla", {"xla": 1.0})
    assert choices.get({"program": "a"}) == "xla"
    (file,) = tmp_path.iterdir()
    for content in (
        b"",
        b"[]",
        b'{"key": {"program": "b"}, "engine": "xla"}',
        b'{"key": {"program": "a"}, "engine": 3}',
    ):
        file.write_bytes(content)
        assert choices.get({"program": "a"}) is None
    assert Choices(None).get({}) is None


def test_something_else_is_no_engine() -> None:
    with pytest.raises(ArgumentError, match="no engine"):
        register_engine(object())  # type: ignore[arg-type]
