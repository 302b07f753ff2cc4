import asyncio

import pytest

from mainstay.core import ArtifactError, UnavailableError, set_compilation_cache
from mainstay.serving import ServerOptions
from mainstay.serving.batching.turns import Share
from mainstay.serving.models.artifacts import ArtifactLoader
from mainstay.serving.models.options import VersionOptions
from mainstay.serving.models.sources import Source


class Nowhere:
    threads = 1
    idle = True

    def join(self, take, finish):
        return Share(take, finish)


@pytest.fixture
def loader():
    loop = asyncio.new_event_loop()

    def make(**options):
        return ArtifactLoader(ServerOptions(versions=VersionOptions(**options)), executor=Nowhere(), loop=loop)

    yield make
    loop.close()


def test_a_folder_that_is_no_saved_model_is_refused_before_anything_is_read(loader, tmp_path):
    with pytest.raises(ArtifactError, match="version 5 of model 'm' is no saved model") as caught:
        loader().load(Source("m", 5, tmp_path), quiet=False)
    assert str(tmp_path) in str(caught.value)


def test_a_model_in_memory_is_taken_as_it_is(loader, fakes):
    signature = fakes.Signature([fakes.input("x")])
    source = Source("m", 1, model=fakes.Model(serving_default=signature))
    servable = loader(compile_apart="always").load(source, quiet=True)
    assert (servable.name, servable.version, list(servable.endpoints)) == ("m", 1, ["serving_default"])
    assert loader().memory(source) == 0


@pytest.mark.parametrize(
    ("choice", "quiet", "cached", "expected"),
    [
        ("never", True, True, False),
        ("always", False, False, True),
        ("auto", True, True, True),
        ("auto", False, True, False),
        ("auto", True, False, False),
    ],
)
def test_versions_are_compiled_apart_while_others_are_served_and_there_is_a_cache(
    loader, tmp_path, monkeypatch, choice, quiet, cached, expected
):
    monkeypatch.setenv("MAINSTAY_COMPILATION_CACHE", str(tmp_path) if cached else "off")
    set_compilation_cache(tmp_path if cached else None)
    try:
        assert loader(compile_apart=choice)._compiles_apart(quiet) is expected
    finally:
        set_compilation_cache(None)


def test_nothing_is_compiled_apart_once_the_server_stops(loader, tmp_path):
    (tmp_path / "saved_model.pb").touch()
    made = loader(compile_apart="always")
    made.close()
    with pytest.raises(UnavailableError, match="stopping"):
        made.load(Source("m", 1, tmp_path), quiet=True)


def test_what_a_version_held_is_given_back(loader):
    loader().unloaded(Source("m", 1))
