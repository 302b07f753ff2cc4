"""The fleet: it follows the models' folders and configuration, loads and unloads versions, and publishes what answers.

What is served changes by one assignment of a new snapshot. A version goes once the last call that it answers is over;
one that cannot be loaded changes nothing for those that can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mainstay.core import (
    MainstayError,
    OverloadError,
    SetupError,
    StorageError,
    UnavailableError,
)
from mainstay.serving.engine import Engine
from mainstay.serving.models.config import FleetConfig, ModelConfig, check_change, read_config_file
from mainstay.serving.models.labels import assign_labels
from mainstay.serving.models.options import VersionOptions
from mainstay.serving.models.roster import FolderState, Roster, Version
from mainstay.serving.models.snapshot import Servable, Snapshot, State
from mainstay.serving.models.sources import Source, find_sources, folder_state
from mainstay.serving.models.transitions import Act, Phase
from mainstay.serving.models.workers import Workers
from mainstay.serving.status import Code, code_of, logger, message_of


class Loader(Protocol):
    """What turns a source into something that answers. All methods are called on threads of the fleet."""

    def memory(self, source: Source) -> int:
        """Return how many bytes of memory a version may need."""

    def load(self, source: Source, *, quiet: bool) -> Servable:
        """Return a version, loaded, compiled and warmed up.

        Args:
            source: The version.
            quiet: Whether others are being served, which must not become slower.
        """

    def unloaded(self, source: Source) -> None:
        """Give back what is left of a version that nothing refers to any more."""


@dataclass(frozen=True, slots=True)
class VersionEvent:
    """A version that has changed its state.

    Args:
        name: The model's name.
        version: The version's number.
        state: Its state from now on.
        seconds: How long getting there took, where that is known.
        code: OK, or how loading it failed.
        message: Why it failed.
    """

    name: str
    version: int
    state: State
    seconds: float = 0.0
    code: Code = Code.OK
    message: str = ""


@dataclass(frozen=True, slots=True)
class Reconfiguration:
    """What another configuration has changed.

    Args:
        added: The models that are new, all of which answer.
        removed: The models that are gone.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Fleet:
    """The models of a server and their versions.

    All methods are called on the event loop.

    Args:
        engine: Where snapshots are published.
        config: The models.
        options: How their versions, and the configuration file, are followed.
        loader: Loads them.

    Attributes:
        config: The models as they are configured now.
        checks: Told another configuration before it is taken; one that raises a `MainstayError` refuses it.
        watchers: Called with a `VersionEvent` whenever a version changes its state.
    """

    def __init__(
        self,
        engine: Engine,
        config: FleetConfig,
        options: VersionOptions,
        *,
        loader: Loader,
    ) -> None:
        self.config = config
        self.checks: tuple[Callable[[FleetConfig], None], ...] = ()
        self.watchers: tuple[Callable[[VersionEvent], None], ...] = ()
        self._engine = engine
        self._loop = engine.loop
        self._options = options
        self._loader = loader
        self._rosters = {model.name: Roster(model.name) for model in config.models}
        self._labels: dict[str, dict[str, int]] = {}
        self._workers = Workers(self._loop, options.load_threads, name="mainstay-load")
        self._unloaders = Workers(self._loop, options.unload_threads, name="mainstay-unload")
        self._finder = Workers(self._loop, 1, name="mainstay-find")
        self._slots = asyncio.Semaphore(options.load_threads)
        self._reconfiguring = asyncio.Lock()
        self._polling = asyncio.Lock()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, str] = {}
        self._ready = False
        self._stopped = False

    # Starting, changing and stopping

    async def start(self) -> None:
        """Load every model and publish them; from then on, follow the folders and the configuration file.

        Raises:
            SetupError: A model has no version, and `VersionOptions.require_all` asks for one.
            MainstayError: No version of a model can be loaded.
        """
        self._publish()
        await self.look()
        if self._options.require_all:
            for model in self.config.models:
                if self._rosters[model.name].is_empty:
                    raise self._nothing_to_serve(model)
        await self._settled(self._rosters, give_up=self._options.require_all)
        self._labels = assign_labels(
            self.config,
            {name: roster.servables() for name, roster in self._rosters.items()},
            current={},
            unavailable_allowed=self._options.labels_for_unavailable or not self._options.require_all,
        )
        self._ready = True
        self._publish()
        if self._options.poll_seconds > 0:
            self._spawn(self._keep_polling())
        if self._options.config_file is not None and self._options.config_poll_seconds > 0:
            self._spawn(self._keep_reading(self._options.config_file))

    async def reconfigure(self, config: FleetConfig) -> Reconfiguration:
        """Take another configuration as a whole, or refuse it as a whole, and wait for the models that are new.

        Args:
            config: The models from now on.

        Returns:
            What it has changed.

        Raises:
            ArgumentError: A model changes its platform; nothing is changed.
            PreconditionError: A label points to a version that does not answer; nothing is changed.
            UnavailableError: A new model did not become available. It stays configured, and its versions are tried
                again as they change.
        """
        async with self._reconfiguring:
            check_change(self.config, config)
            labels = assign_labels(
                config,
                {name: roster.servables() for name, roster in self._rosters.items()},
                current=self._labels,
                unavailable_allowed=self._options.labels_for_unavailable,
            )
            for check in self.checks:
                check(config)
            old, new = set(self.config.by_name()), config.by_name()
            added = {name: self._rosters.setdefault(name, Roster(name)) for name in new if name not in old}
            removed = tuple(sorted(old - set(new)))
            self.config, self._labels = config, labels
            for name in removed:
                self._rosters[name].want(())
            self._advance()
            await self.look()
            await self._settled(added, give_up=False)
            self._refuse_unavailable(added)
            return Reconfiguration(tuple(sorted(added)), removed)

    def _refuse_unavailable(self, added: Iterable[str]) -> None:
        missing = [name for name in added if not self._rosters[name].is_available]
        if not missing:
            return
        reasons = []
        for name in missing:
            error = self._rosters[name].failure()
            known = self._troubles.get(name, "no version was found") if error is None else _message(error)
            reasons.append(f"{{name: {name} due to error: {known}}}")
        raise UnavailableError(
            f"{len(missing)} model(s) did not become available: {', '.join(reasons)}",
            fix="correct their versions, which are tried again when they change",
        )

    async def stop(self, seconds: float = 0.0) -> None:
        """Follow nothing any more; what answers, answers on.

        Args:
            seconds: How long to wait for versions that are being loaded; they are not published any more.
        """
        self._stopped = True
        loading = {task for task in self._tasks if task.get_name() == "load"}
        for task in self._tasks - loading:
            task.cancel()
        if loading:
            await asyncio.wait(loading, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        for workers in (self._workers, self._unloaders, self._finder):
            workers.close()

    # Looking for versions

    async def _keep_polling(self) -> None:
        while True:
            await asyncio.sleep(self._options.poll_seconds)
            try:
                await self.look()
            except Exception:  # what fails once is no reason never to look again
                logger.exception("the models' folders cannot be looked at; trying again")

    async def look(self) -> None:
        """Look at all folders once, and begin what has to be done. A thread does it: a file system may be slow."""
        async with self._polling:
            config = self.config
            unready = [source for roster in self._rosters.values() for source in roster.unready()]
            found, states = await self._finder.run(lambda: _look(config.models, unready))
            current = self.config.by_name()
            for model, sources in found:
                roster = self._rosters.get(model.name)
                if roster is None or current.get(model.name) is not model:
                    continue
                self._note_trouble(model, sources)
                if not isinstance(sources, StorageError):
                    roster.want(sources)
            for source, state in states.items():
                if source.name in self._rosters:
                    self._rosters[source.name].looked_at(source, state)
            self._advance()

    def _note_trouble(self, model: ModelConfig, sources: list[Source] | StorageError) -> None:
        """Log what is wrong with a model's folder, once as long as it stays the same."""
        trouble = ""
        if isinstance(sources, StorageError):
            trouble = message_of(sources)
        elif not sources:
            trouble = (
                f"No versions of servable {model.name} found under base path {model.base_path}. Did you forget to "
                "name your leaf directory as a number (eg. '/1/')?"
            )
        elif missing := set(model.policy.versions) - {source.version for source in sources}:
            trouble = (
                f"model {model.name} has no version {', '.join(map(str, sorted(missing)))}, which its policy names"
            )
        if trouble and trouble != self._troubles.get(model.name):
            logger.warning("%s", trouble)
        self._troubles[model.name] = trouble

    async def _keep_reading(self, path: Path) -> None:
        last = trouble = ""
        while True:
            await asyncio.sleep(self._options.config_poll_seconds)
            try:
                config = await self._finder.run(lambda: read_config_file(path))
                if config != self.config or last:
                    change = await self.reconfigure(config)
                    if change.added or change.removed:
                        logger.info("models added: %s; removed: %s", change.added, change.removed)
                last = trouble = ""
            except MainstayError as error:
                last = message_of(error)
                if last != trouble:
                    logger.error("the configuration file is not taken: %s", last)
                trouble = last

    # Loading and unloading

    def _advance(self) -> None:
        """Begin whatever can be done now, and publish."""
        unloads: list[tuple[Roster, Source]] = []
        if not self._stopped:
            for roster in self._rosters.values():
                while (action := roster.next_action(self._options.transition)) is not None:
                    act, source = action
                    if act is Act.LOAD:
                        self._spawn(self._load(roster, source), name="load")
                    else:
                        unloads.append((roster, source))
        configured = self.config.by_name()
        for name in [name for name, roster in self._rosters.items() if roster.is_empty and name not in configured]:
            del self._rosters[name]
        self._publish()
        for roster, source in unloads:
            self._unload(roster, source)
        self._changed.set()
        self._changed = asyncio.Event()

    def _publish(self) -> None:
        """Publish what answers and where everything stands, where that has changed."""
        if self._stopped:
            return
        servables = {name: servables for name, roster in self._rosters.items() if (servables := roster.servables())}
        statuses = {name: roster.statuses() for name, roster in self._rosters.items()}
        now = self._engine.snapshot
        if (servables, statuses, self._labels, self._ready) != (now.servables, now.statuses, now.labels, now.ready):
            self._engine.snapshot = Snapshot(servables, statuses, self._labels, ready=self._ready)

    async def _load(self, roster: Roster, source: Source) -> None:
        version = roster.versions[source]
        async with self._slots:
            if not version.wanted or self._stopped:
                roster.abandon(source)
                self._advance()
                return
            self._tell(source, State.LOADING)
            started = self._loop.time()
            try:
                servable = await self._loaded(version)
            except Exception as error:
                self._failed(roster, version, error)
                return
            if self._stopped:
                return
            roster.loaded(source, servable)
            seconds = self._loop.time() - started
            logger.info("model %s version %d is available after %.1f s", source.name, source.version, seconds)
        self._tell(source, State.AVAILABLE, seconds=seconds)
        del servable
        self._advance()

    async def _loaded(self, version: Version) -> Servable:
        source, loader, quiet = version.source, self._loader, self._ready
        if source.model is None:
            logger.info("loading model %s version %d from %s", source.name, source.version, source.path)
            version.seen = version.loaded_from = await self._finder.run(lambda: folder_state(source.path))
        if self._options.memory_limit_bytes is not None:
            needed = await self._finder.run(lambda: loader.memory(source))
            await self._reserve(version, needed, self._options.memory_limit_bytes)
        return await self._workers.run(lambda: loader.load(source, quiet=quiet))

    async def _reserve(self, version: Version, needed: int, limit: int) -> None:
        """Hold memory for a version, waiting for those that are being unloaded.

        Raises:
            OverloadError: There is not enough.
        """
        while True:
            versions = [each for roster in self._rosters.values() for each in roster.versions.values()]
            used = sum(each.memory for each in versions)
            if used + needed <= limit:
                version.memory = needed
                return
            if not any(each.phase is Phase.UNLOADING for each in versions):
                source = version.source
                raise OverloadError(
                    f"Insufficient resources to load servable {{name: {source.name} version: {source.version}}}",
                    expected=f"at most {limit - used:,} bytes, as {used:,} of {limit:,} are taken",
                    received=f"{needed:,} bytes",
                    fix="raise the memory limit, or keep fewer versions",
                )
            await self._changed.wait()

    def _failed(self, roster: Roster, version: Version, error: Exception) -> None:
        source = version.source
        message, code = _message(error), code_of(error)
        again = _may_go_away(error) and version.tries < self._options.max_load_retries and not self._stopped
        roster.failed(source, error, code=code, message=message, again=again)
        unexpected = not isinstance(error, MainstayError)
        logger.error(
            "model %s version %d cannot be loaded: %s%s",
            source.name,
            source.version,
            message,
            f"; trying again in {self._options.load_retry_seconds:g} s" if again else "",
            exc_info=error if unexpected else None,
        )
        if again:
            self._loop.call_later(self._options.load_retry_seconds, self._retry, roster, source)
        else:
            self._tell(source, State.END, code=code, message=message)
        self._advance()

    def _retry(self, roster: Roster, source: Source) -> None:
        if not self._stopped:
            roster.retry(source)
            self._advance()

    def _unload(self, roster: Roster, source: Source) -> None:
        """Let a version go that is not published any more, as soon as no call uses it."""
        servable = roster.versions[source].servable
        self._tell(source, State.UNLOADING)
        labelled = [label for label, number in self._labels.get(source.name, {}).items() if number == source.version]
        if labelled:
            logger.warning(
                "model %s version %d goes, to which labels point: %s", source.name, source.version, ", ".join(labelled)
            )
        if servable is None or not servable.users:
            self._spawn(self._let_go(roster, source))
            return

        def idle() -> None:
            servable.on_idle = None
            self._spawn(self._let_go(roster, source))

        servable.on_idle = idle

    async def _let_go(self, roster: Roster, source: Source) -> None:
        version = roster.versions[source]
        if version.servable is not None:
            for endpoint in version.servable.endpoints.values():
                endpoint.batcher.close()
        version.servable = None
        await self._unloaders.run(lambda: self._loader.unloaded(source))
        roster.unloaded(source)
        logger.info("model %s version %d is unloaded", source.name, source.version)
        self._tell(source, State.END)
        self._advance()

    async def _settled(self, names: Iterable[str], *, give_up: bool) -> None:
        """Wait until it is decided of each model whether it can be served.

        Raises:
            MainstayError: No version of a model can be loaded, where `give_up` is set.
        """
        names = list(names)
        while True:
            rosters = [self._rosters[name] for name in names if name in self._rosters]
            for roster in rosters if give_up else ():
                error = roster.failure()
                if roster.is_settled and not roster.is_available and error is not None:
                    raise error
            if all(roster.is_settled for roster in rosters):
                return
            await self._changed.wait()

    def _nothing_to_serve(self, model: ModelConfig) -> SetupError:
        folder = model.base_path
        return SetupError(
            f"there is no model to serve as {model.name!r}",
            where=folder,
            expected="a saved model, or a folder with saved models in numbered folders such as 1",
            received="nothing" if not folder.exists() else "no such files",
            fix="give the folder that `save` or `mainstay run` wrote",
        )

    def _spawn(self, work: Coroutine[Any, Any, None], name: str = "") -> None:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("following the models failed", exc_info=error)

    def _tell(
        self, source: Source, state: State, *, seconds: float = 0.0, code: Code = Code.OK, message: str = ""
    ) -> None:
        event = VersionEvent(source.name, source.version, state, seconds, code, message)
        for watcher in self.watchers:
            try:
                watcher(event)
            except Exception:  # a version is loaded or let go all the same
                logger.exception("what watches versions failed")


def _look(
    models: Iterable[ModelConfig], unready: Iterable[Source]
) -> tuple[list[tuple[ModelConfig, list[Source] | StorageError]], dict[Source, FolderState]]:
    """Return the versions in the models' folders, and what those look like that could not be loaded."""
    found: list[tuple[ModelConfig, list[Source] | StorageError]] = []
    for model in models:
        try:
            found.append((model, find_sources(model)))
        except StorageError as error:
            found.append((model, error))
    return found, {source: folder_state(source.path) for source in unready}


def _may_go_away(error: Exception) -> bool:
    """Whether an error may be over at another time, the files being the same."""
    return isinstance(error, StorageError | UnavailableError | OSError | MemoryError | RuntimeError)


def _message(error: Exception) -> str:
    return message_of(error) if isinstance(error, MainstayError) else f"{type(error).__name__}: {error}"
