"""Exact resume is a law: from whatever element on, a resumed pipeline gives what the straight run gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from mainstay.data import Dataset, Options, TFRecordDataset
from mainstay.io import TFRecordWriter
from tests.properties.data_pipelines import ENDS, LAYERS, SOURCES, Recipe, plain, recipes


def elements(iterator: Any) -> list[Any]:
    return [plain(element) for element in iterator]


def check(recipe: Recipe, *, places: int) -> None:
    """Resume at so many places, at all where there are no more; twice at some; and go on into the next pass at one."""
    np.random.seed(5)
    straight = recipe.build()
    elements(straight)
    states, run = [], []
    iterator = straight.iter()
    while True:
        states.append(iterator.state())
        try:
            run.append(plain(next(iterator)))
        except StopIteration:
            break
    following = elements(straight)
    chosen = sorted(set(np.linspace(0, len(run), min(places, len(states))).astype(int).tolist()))
    for number, place in enumerate(chosen):
        resumed = recipe.build()
        rest = resumed.iter(json.dumps(json.loads(states[place])).encode())
        if number % 3 == 1:
            step = (len(run) - place + 1) // 2
            assert [plain(next(rest)) for _ in range(step)] == run[place : place + step]
            rest, place = recipe.build().iter(rest.state()), place + step
        assert elements(rest) == run[place:]
        if number == 0:
            assert elements(resumed) == following


@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_every_operation_resumes_at_every_element(layer: str) -> None:
    check(Recipe("stream", ("shuffle", layer), "as it is"), places=99)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_every_source_resumes_at_every_element(source: str) -> None:
    check(Recipe(source, ("shuffle and repeat",), "batch"), places=99)


@settings(max_examples=20)
@given(recipes)
def test_whatever_is_put_together_resumes_anywhere(recipe: Recipe) -> None:
    check(recipe, places=5)


@settings(max_examples=10)
@given(recipes)
def test_elements_do_not_depend_on_the_number_of_threads(recipe: Recipe) -> None:
    def run(threads: int) -> list[Any]:
        np.random.seed(5)
        options = Options()
        options.threading.private_threadpool_size = threads
        dataset = recipe.build().with_options(options)
        return [elements(dataset), elements(dataset)]

    assert run(1) == run(3)


def test_the_law_covers_every_end() -> None:
    for end in ENDS:
        check(Recipe("range", ("flat_map",), end), places=4)


def test_states_stay_small() -> None:
    dataset = Recipe("stream", ("shuffle", "window", "interleave"), "batch").build()
    iterator = dataset.iter()
    next(iterator)
    assert len(iterator.state()) < 600


def test_records_of_several_files_in_turns_resume_at_every_record(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.tfrecord") for number in range(3)]
    for number, path in enumerate(paths):
        with TFRecordWriter(path) as writer:
            for row in range(3 * number + 2):
                writer.write(b"%d %d" % (number, row))

    def build() -> Dataset:
        files = Dataset.from_tensor_slices(paths).shuffle(3, seed=1)
        return files.interleave(TFRecordDataset, cycle_length=2, block_length=2).shuffle(4, seed=2).batch(2)

    dataset = build()
    iterator = dataset.iter()
    states, run = [iterator.state()], []
    for element in iterator:
        run.append(plain(element))
        states.append(iterator.state())
    assert sum(len(batch[2]) for batch in run) == 15
    for place, state in enumerate(states):
        assert elements(build().iter(state)) == run[place:]
