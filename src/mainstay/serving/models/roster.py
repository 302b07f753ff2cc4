"""The versions of one model and where each stands: a state machine without threads, clocks or files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mainstay.serving.models.snapshot import Servable, State, VersionStatus
from mainstay.serving.models.sources import Source
from mainstay.serving.models.transitions import Act, Action, Phase, Standing, next_action
from mainstay.serving.status import Code

FolderState = tuple[int, int, int]

_KEPT_ENDS = 16
"""How many versions that are gone a model still knows of."""

_STATES = {
    Phase.NEW: State.START,
    Phase.WAITING: State.LOADING,
    Phase.LOADING: State.LOADING,
    Phase.READY: State.AVAILABLE,
    Phase.UNLOADING: State.UNLOADING,
    Phase.FAILED: State.END,
}


@dataclass(slots=True)
class Version:
    """One version of a model.

    Args:
        source: Where it comes from.

    Attributes:
        phase: Where it stands.
        wanted: Whether it should be served.
        servable: What answers, while it is loaded.
        error: Why it could not be loaded the last time.
        code: The status code of that.
        message: What clients are told about it.
        tries: How often loading it has failed.
        loaded_from: What its folder looked like when loading began.
        seen: What its folder looked like the last time.
        memory: How many bytes it is held to need.
    """

    source: Source
    phase: Phase = Phase.NEW
    wanted: bool = True
    servable: Servable | None = None
    error: Exception | None = None
    code: Code = Code.OK
    message: str = ""
    tries: int = 0
    loaded_from: FolderState = (0, 0, 0)
    seen: FolderState = (0, 0, 0)
    memory: int = 0

    @property
    def status(self) -> VersionStatus:
        """What clients are told."""
        return VersionStatus(_STATES[self.phase], self.code, self.message)

    @property
    def standing(self) -> Standing:
        """What transitions go by."""
        return Standing(self.source, self.phase, self.wanted)


@dataclass(slots=True)
class Roster:
    """The versions of one model.

    Args:
        name: The model's name.

    Attributes:
        versions: Those that are known, by where they come from.
        ends: How those ended that are gone, by number; the last ones only.
    """

    name: str
    versions: dict[Source, Version] = field(default_factory=dict)
    ends: dict[int, VersionStatus] = field(default_factory=dict)

    def want(self, sources: Iterable[Source]) -> None:
        """Take which versions should be served from now on; those that are not loaded yet and not wanted go at once."""
        wanted = set(sources)
        for source in sorted(wanted - set(self.versions), key=lambda each: each.version):
            self.versions[source] = Version(source)
        for version in list(self.versions.values()):
            version.wanted = version.source in wanted
            if not version.wanted and version.phase in (Phase.NEW, Phase.WAITING, Phase.FAILED):
                self._end(version)

    def _end(self, version: Version) -> None:
        del self.versions[version.source]
        number = version.source.version
        self.ends.pop(number, None)
        self.ends[number] = VersionStatus(State.END, version.code, version.message)
        while len(self.ends) > _KEPT_ENDS:
            del self.ends[next(iter(self.ends))]

    def next_action(self, transition: str) -> Action | None:
        """Return what to do next, see `transitions`, and note that it is being done."""
        action = next_action([version.standing for version in self.versions.values()], transition)
        if action is not None:
            act, source = action
            self.versions[source].phase = Phase.LOADING if act is Act.LOAD else Phase.UNLOADING
        return action

    def loaded(self, source: Source, servable: Servable) -> None:
        """Note that a version is ready to answer."""
        version = self.versions[source]
        version.phase, version.servable = Phase.READY, servable
        version.error, version.code, version.message, version.tries = None, Code.OK, "", 0

    def failed(self, source: Source, error: Exception, *, code: Code, message: str, again: bool) -> None:
        """Note that loading a version has failed.

        Args:
            source: The version.
            error: Why.
            code: The status code of that.
            message: What clients are told.
            again: Whether it will be tried again after a while.
        """
        version = self.versions[source]
        version.error, version.code, version.message = error, code, message
        version.tries += 1
        version.memory = 0
        version.phase = Phase.WAITING if again else Phase.FAILED
        if not version.wanted:
            self._end(version)

    def abandon(self, source: Source) -> None:
        """Note that loading a version has not begun, since it is not wanted any more."""
        version = self.versions[source]
        version.phase = Phase.NEW
        if not version.wanted:
            self._end(version)

    def retry(self, source: Source) -> None:
        """Try a version again that waits for that or has failed."""
        version = self.versions.get(source)
        if version is not None and version.phase in (Phase.WAITING, Phase.FAILED):
            version.phase = Phase.NEW

    def looked_at(self, source: Source, state: FolderState) -> None:
        """Take what the folder of a version looks like, and try it again if it has changed and is at rest since."""
        version = self.versions.get(source)
        if version is None or version.phase not in (Phase.WAITING, Phase.FAILED):
            return
        at_rest = state == version.seen
        version.seen = state
        if at_rest and state != version.loaded_from:
            version.tries = 0
            version.phase = Phase.NEW

    def unloaded(self, source: Source) -> None:
        """Note that a version is gone; one that is wanted again by now is loaded again."""
        version = self.versions[source]
        self._end(version)
        if version.wanted:
            self.versions[source] = Version(source)

    def unready(self) -> Iterator[Source]:
        """Yield the versions whose folders are worth a look, since loading them has failed."""
        for version in self.versions.values():
            if version.phase in (Phase.WAITING, Phase.FAILED) and version.source.model is None:
                yield version.source

    def servables(self) -> dict[int, Servable]:
        """Return what answers, by number; of two sources of one number, the one that is wanted."""
        ready = [version for version in self.versions.values() if version.phase is Phase.READY]
        ready.sort(key=lambda version: version.wanted)
        return {version.source.version: version.servable for version in ready if version.servable is not None}

    def statuses(self) -> dict[int, VersionStatus]:
        """Return where each version stands, by number; the one that answers where two have one number."""
        current = sorted(self.versions.values(), key=lambda version: (version.phase is Phase.READY, version.wanted))
        return {**self.ends, **{version.source.version: version.status for version in current}}

    @property
    def is_settled(self) -> bool:
        """Whether it is decided if the model can be served: nothing new loads, and something is there or has failed."""
        phases = {version.phase for version in self.versions.values()}
        if phases & {Phase.NEW, Phase.LOADING}:
            return False
        return Phase.READY in phases or Phase.WAITING not in phases

    @property
    def is_available(self) -> bool:
        """Whether a version answers."""
        return any(version.phase is Phase.READY for version in self.versions.values())

    @property
    def is_empty(self) -> bool:
        """Whether no version is left."""
        return not self.versions

    def failure(self) -> Exception | None:
        """Return why the highest version that has failed did."""
        failed = [version for version in self.versions.values() if version.error is not None]
        return max(failed, key=lambda version: version.source.version).error if failed else None
