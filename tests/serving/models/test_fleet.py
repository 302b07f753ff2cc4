"""The fleet with a loader that loads nothing, on real threads and real folders."""

import asyncio
import contextlib
import logging
import threading

import pytest

from mainstay.core import (
    ArgumentError,
    IntegrityError,
    NotFoundError,
    PreconditionError,
    SetupError,
    StorageError,
    UnavailableError,
)
from mainstay.serving.engine import Engine
from mainstay.serving.models.config import FleetConfig, ModelConfig, VersionPolicy
from mainstay.serving.models.fleet import Fleet, VersionEvent
from mainstay.serving.models.options import VersionOptions
from mainstay.serving.models.snapshot import Servable, State
from mainstay.serving.status import Code

LATEST = VersionPolicy()
ALL = VersionPolicy("all")


class FakeLoader:
    """Loads every source at once, but for those that are held back or that fail."""

    def __init__(self):
        self.loads = []
        self.unloads = []
        self.failures = {}
        self.held = {}
        self.bytes = {}
        self.begun = threading.Semaphore(0)

    def memory(self, source):
        return self.bytes.get(source.version, 0)

    def load(self, source, *, quiet):
        self.loads.append((source.name, source.version, quiet))
        self.begun.release()
        if source.version in self.held:
            assert self.held[source.version].wait(20)
        if source.version in self.failures:
            raise self.failures[source.version]
        return Servable(source.name, source.version, {})

    def unloaded(self, source):
        self.unloads.append((source.name, source.version))


class World:
    """A fleet over a folder `m`, and what a test does to it."""

    def __init__(self, folder, config, options, loader):
        self.folder = folder
        self.loader = loader
        self.engine = Engine(asyncio.get_running_loop())
        self.fleet = Fleet(self.engine, config, options, loader=loader)
        self.events = []
        self.fleet.watchers = (self.events.append,)

    def add(self, *versions, model="m"):
        for version in versions:
            (self.folder / model / str(version)).mkdir(parents=True)

    def remove(self, version, model="m"):
        (self.folder / model / str(version)).rmdir()

    @property
    def answering(self):
        return {name: sorted(versions) for name, versions in self.engine.snapshot.servables.items()}

    def state(self, version, model="m"):
        return self.engine.snapshot.versions(model, version)[version].state

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                await self.fleet._changed.wait()

    async def look(self, **answering):
        """Look at the folders, and wait until these versions answer and nothing is under way."""
        await self.fleet.look()
        if answering:
            await self.until(lambda: self.answering == answering and self.is_at_rest())

    def is_at_rest(self):
        going = {State.START, State.LOADING, State.UNLOADING}
        return not any(
            status.state in going for model in self.engine.snapshot.statuses.values() for status in model.values()
        )


@pytest.fixture
def run(tmp_path):
    """Run a coroutine function with a `World`; the model `m` has the versions 1 and 2."""

    def run(test, *versions, policy=LATEST, labels=None, loader=None, start=True, **options):
        loader = loader or FakeLoader()
        for version in versions or (1, 2):
            (tmp_path / "m" / str(version)).mkdir(parents=True)
        config = FleetConfig((ModelConfig("m", tmp_path / "m", policy=policy, labels=labels or {}),))

        async def main():
            world = World(tmp_path, config, VersionOptions(**{"poll_seconds": 0, **options}), loader)
            try:
                if start:
                    await world.fleet.start()
                await test(world)
            finally:
                await world.fleet.stop()

        asyncio.run(main())
        return loader

    return run


def test_the_latest_version_is_served(run):
    async def test(world):
        assert world.answering == {"m": [2]}
        assert world.engine.ready
        assert world.state(2) is State.AVAILABLE

    assert run(test).loads == [("m", 2, False)]


def test_a_new_version_replaces_the_old_one_once_it_answers(run):
    async def test(world):
        world.loader.held[3] = threading.Event()
        world.add(3)
        await world.fleet.look()
        assert world.answering == {"m": [2]}
        assert world.state(3) is State.LOADING
        world.loader.held[3].set()
        await world.until(lambda: world.answering == {"m": [3]} and world.is_at_rest())
        assert world.state(2) is State.END

    loader = run(test)
    assert loader.loads[-1] == ("m", 3, True)
    assert loader.unloads == [("m", 2)]


def test_an_old_version_goes_first_where_resources_are_scarce(run):
    async def test(world):
        world.add(3)
        await world.fleet.look()
        assert world.answering == {}
        await world.until(lambda: world.answering == {"m": [3]})

    run(test, transition="resources")


def test_a_version_stays_until_its_last_call_is_over(run):
    async def test(world):
        servable = world.engine.snapshot.find("m")
        servable.users += 1
        world.add(3)
        await world.fleet.look()
        await world.until(lambda: world.answering == {"m": [3]})
        assert world.state(2) is State.UNLOADING
        assert world.loader.unloads == []
        servable.release()
        await world.until(lambda: world.state(2) is State.END)
        assert world.loader.unloads == [("m", 2)]

    run(test)


def test_all_versions_are_served_where_the_policy_says_so(run):
    async def test(world):
        assert world.answering == {"m": [1, 2]}
        world.remove(1)
        await world.look(m=[2])
        world.add(7)
        await world.look(m=[2, 7])

    assert [version for _, version, _ in run(test, policy=ALL).loads] == [2, 1, 7]


def test_specific_versions_are_served_and_one_that_is_missing_is_told_once(run, caplog):
    async def test(world):
        assert world.answering == {"m": [1]}
        await world.fleet.look()
        world.add(9)
        await world.look(m=[1, 9])

    with caplog.at_level(logging.WARNING, "mainstay.serving"):
        run(test, policy=VersionPolicy("specific", versions=(1, 9)))
    assert [record.message for record in caplog.records] == ["model m has no version 9, which its policy names"]


def test_a_base_path_that_vanishes_unloads_nothing(run, caplog):
    async def test(world):
        (world.folder / "m").rename(world.folder / "elsewhere")
        await world.fleet.look()
        await world.fleet.look()
        assert world.answering == {"m": [2]}
        (world.folder / "elsewhere").rename(world.folder / "m")
        await world.fleet.look()
        assert world.answering == {"m": [2]}

    run(test)
    assert len([record for record in caplog.records if "Could not find base path" in record.message]) == 1


def test_a_base_path_that_is_emptied_unloads_everything(run):
    async def test(world):
        world.remove(1)
        world.remove(2)
        await world.fleet.look()
        await world.until(lambda: world.state(2) is State.END)
        assert world.answering == {}

    run(test)


def test_a_bad_version_leaves_the_old_one_and_shows_its_error(run):
    loader = FakeLoader()
    loader.failures[3] = IntegrityError("a file was edited", where="weights")

    async def test(world):
        world.add(3)
        await world.fleet.look()
        await world.until(lambda: world.state(3) is State.END)
        assert world.answering == {"m": [2]}
        status = world.engine.snapshot.versions("m", 3)[3]
        assert "a file was edited" in status.message
        assert status.code is not Code.OK
        for _ in range(3):
            await world.fleet.look()
        assert len(loader.loads) == 2
        # The copy goes on, and ends.
        loader.failures.clear()
        (world.folder / "m" / "3" / "weights").write_bytes(b"1")
        await world.fleet.look()
        assert len(loader.loads) == 2
        await world.look(m=[3])
        assert world.engine.snapshot.versions("m", 3)[3].message == ""

    run(test, loader=loader)


def test_an_error_of_the_file_system_is_waited_for_so_often(run):
    loader = FakeLoader()

    async def test(world):
        loader.failures[3] = StorageError("no permission")
        world.add(3)
        await world.fleet.look()
        await world.until(lambda: world.state(3) is State.END)
        assert world.answering == {"m": [2]}
        assert [version for _, version, _ in loader.loads] == [2, 3, 3, 3]
        assert VersionEvent("m", 3, State.END, 0.0, world.events[-1].code, "no permission") == world.events[-1]

    run(test, loader=loader, max_load_retries=2, load_retry_seconds=0)


def test_a_try_that_is_not_needed_any_more_is_not_made(run):
    loader = FakeLoader()

    async def test(world):
        loader.failures[3] = StorageError("no permission")
        world.add(3)
        await world.fleet.look()
        await world.until(lambda: len(loader.loads) == 2)
        await world.until(lambda: world.fleet._rosters["m"].failure() is not None)
        world.add(4)
        await world.look(m=[4])
        assert [version for _, version, _ in loader.loads] == [2, 3, 4]

    run(test, loader=loader, load_retry_seconds=60)


def test_versions_that_are_overtaken_while_they_queue_are_not_loaded(run):
    async def test(world):
        world.loader.held[3] = threading.Event()
        for version in (3, 4, 5):
            world.add(version)
            await world.fleet.look()
        await asyncio.to_thread(world.loader.begun.acquire)
        world.loader.held[3].set()
        await world.until(lambda: world.answering == {"m": [5]} and world.is_at_rest())

    loader = run(test)
    assert [version for _, version, _ in loader.loads] == [2, 3, 5]
    assert sorted(loader.unloads) == [("m", 2), ("m", 3)]


def test_memory_is_a_limit(run):
    loader = FakeLoader()
    loader.bytes = {1: 60, 2: 60, 3: 40, 4: 10}

    async def test(world):
        assert world.answering == {"m": [2]}
        status = world.engine.snapshot.versions("m", 1)[1]
        assert status.code is Code.RESOURCE_EXHAUSTED
        assert "Insufficient resources to load servable {name: m version: 1}" in status.message
        world.add(3)
        await world.look(m=[2, 3])

    run(test, loader=loader, policy=ALL, memory_limit_bytes=100, max_load_retries=0)


def test_memory_of_a_version_that_is_going_is_waited_for(run):
    loader = FakeLoader()
    loader.bytes = {2: 60, 3: 60}

    async def test(world):
        servable = world.engine.snapshot.find("m")
        servable.users += 1
        world.remove(2)
        world.add(3)
        world.fleet._rosters["m"].want(())
        world.fleet._advance()
        await world.fleet.look()
        assert world.state(2) is State.UNLOADING
        servable.release()
        await world.until(lambda: world.answering == {"m": [3]})

    run(test, 2, loader=loader, memory_limit_bytes=100)


def test_a_server_does_not_start_without_a_version(run):
    async def test(world):
        for version in (1, 2):
            world.remove(version)
        with pytest.raises(SetupError, match="there is no model to serve as 'm'"):
            await world.fleet.start()
        (world.folder / "m").rmdir()
        with pytest.raises(SetupError) as caught:
            await world.fleet.start()
        assert caught.value.received == "nothing"

    run(test, start=False)


def test_a_server_does_not_start_with_a_bad_version_unless_it_may(run):
    loader = FakeLoader()
    loader.failures = dict.fromkeys((2, 5), IntegrityError("a file was edited"))

    async def refuse(world):
        with pytest.raises(IntegrityError):
            await world.fleet.start()

    async def accept(world):
        await world.fleet.start()
        assert world.engine.ready
        assert world.answering == {}
        world.add(6)
        await world.look(m=[6])

    run(refuse, start=False, loader=loader)
    run(accept, 5, start=False, loader=loader, require_all=False)


def test_a_reconfiguration_adds_and_removes_models(run):
    async def test(world):
        world.add(1, model="n")
        models = world.fleet.config.models
        more = FleetConfig((*models, ModelConfig("n", world.folder / "n")))
        change = await world.fleet.reconfigure(more)
        assert (change.added, change.removed) == (("n",), ())
        assert world.answering == {"m": [2], "n": [1]}
        change = await world.fleet.reconfigure(FleetConfig(more.models[1:]))
        assert (change.added, change.removed) == ((), ("m",))
        await world.until(lambda: "m" not in world.engine.snapshot.statuses)
        assert world.answering == {"n": [1]}
        with pytest.raises(NotFoundError, match="Could not find any versions of model m"):
            world.engine.snapshot.versions("m")

    run(test)


def test_a_reconfiguration_that_is_refused_changes_nothing(run):
    async def test(world):
        before = world.engine.snapshot
        other = ModelConfig("m", world.folder / "m", platform="mainstay")
        with pytest.raises(ArgumentError, match="Illegal to change a model's platform"):
            await world.fleet.reconfigure(FleetConfig((other,)))
        ahead = ModelConfig("m", world.folder / "m", policy=ALL, labels={"stable": 2, "canary": 1})
        with pytest.raises(PreconditionError, match="which is not currently available for inference"):
            await world.fleet.reconfigure(FleetConfig((ahead,)))
        world.fleet.checks = (refuse,)
        with pytest.raises(SetupError, match="the log cannot be written"):
            await world.fleet.reconfigure(FleetConfig())
        assert world.engine.snapshot is before
        await world.fleet.look()
        assert world.answering == {"m": [2]}

    def refuse(config):
        assert config == FleetConfig()
        raise SetupError("the log cannot be written")

    run(test)


def test_labels_follow_reconfigurations(run):
    async def test(world):
        assert world.engine.snapshot.find("m", label="stable").version == 1
        moved = ModelConfig("m", world.folder / "m", policy=ALL, labels={"stable": 2})
        await world.fleet.reconfigure(FleetConfig((moved,)))
        assert world.engine.snapshot.find("m", label="stable").version == 2
        await world.fleet.reconfigure(FleetConfig((ModelConfig("m", world.folder / "m", policy=ALL),)))
        assert world.engine.snapshot.labels == {}

    run(test, policy=ALL, labels={"stable": 1})


def test_a_label_of_the_start_must_point_to_a_version_that_could_be_loaded(run):
    async def test(world):
        with pytest.raises(PreconditionError, match="version 1 of model m"):
            await world.fleet.start()

    run(test, labels={"stable": 1}, start=False)

    async def allowed(world):
        with pytest.raises(NotFoundError):
            world.engine.snapshot.find("m", label="stable")

    run(allowed, 7, labels={"stable": 1}, labels_for_unavailable=True)


def test_a_new_model_that_does_not_come_up_is_told_and_stays_configured(run):
    async def test(world):
        with pytest.raises(UnavailableError, match=r"1 model\(s\) did not become available") as caught:
            await world.fleet.reconfigure(
                FleetConfig((*world.fleet.config.models, ModelConfig("n", world.folder / "n")))
            )
        assert "Could not find base path" in str(caught.value)
        assert world.answering == {"m": [2]}
        world.add(4, model="n")
        await world.look(m=[2], n=[4])

    run(test)


def test_another_base_path_takes_over_without_a_gap(run):
    async def test(world):
        world.add(2, model="elsewhere")
        old = world.engine.snapshot.find("m")
        await world.fleet.reconfigure(FleetConfig((ModelConfig("m", world.folder / "elsewhere"),)))
        assert world.answering == {"m": [2]}
        await world.until(lambda: world.engine.snapshot.find("m") is not old and world.is_at_rest())
        assert world.answering == {"m": [2]}

    run(test)


def test_folders_and_the_configuration_file_are_followed(run, tmp_path):
    file = tmp_path / "models.config"

    def text(*names):
        models = [f"config {{ name: '{n}' base_path: '{tmp_path / n}' model_platform: 'tensorflow' }}" for n in names]
        return "model_config_list {" + " ".join(models) + "}"

    async def test(world):
        world.add(3)
        await world.until(lambda: world.answering == {"m": [3]})
        world.add(1, model="n")
        file.write_text("model_config_list { nonsense }")
        file.write_text(text("m", "n"))
        await world.until(lambda: world.answering == {"m": [3], "n": [1]})
        file.write_text(text("n"))
        await world.until(lambda: world.answering == {"n": [1]})

    file.write_text(text("m"))
    run(test, poll_seconds=0.005, config_poll_seconds=0.005, config_file=file)


def test_what_happens_is_told_to_watchers(run):
    async def test(world):
        world.add(3)
        await world.look(m=[3])
        assert [(event.version, event.state) for event in world.events] == [
            (2, State.LOADING),
            (2, State.AVAILABLE),
            (3, State.LOADING),
            (3, State.AVAILABLE),
            (2, State.UNLOADING),
            (2, State.END),
        ]

    run(test)


def test_a_fleet_that_is_stopped_publishes_nothing_any_more(run):
    async def test(world):
        world.loader.held[3] = threading.Event()
        world.add(3)
        await world.fleet.look()
        await asyncio.to_thread(world.loader.begun.acquire)
        await world.fleet.stop()
        before = world.engine.snapshot
        world.loader.held[3].set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*world.fleet._tasks)
        assert world.engine.snapshot is before

    run(test)


def test_watchers_that_fail_hold_nothing_up(run, caplog):
    async def test(world):
        world.fleet.watchers += (lambda event: 1 // 0,)
        world.add(3)
        await world.look(m=[3])

    run(test)
    assert "what watches versions failed" in caplog.text


def test_a_look_at_the_folders_that_fails_is_not_the_last_one(run, caplog):
    async def test(world):
        look, fleet = world.fleet.look, world.fleet

        async def fail():
            fleet.look = look
            raise ValueError("not this time")

        fleet.look = fail
        world.add(3)
        await world.until(lambda: world.answering == {"m": [3]})

    run(test, poll_seconds=0.005)
    assert "not this time" in caplog.text
