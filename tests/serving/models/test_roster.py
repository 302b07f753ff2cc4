"""The laws of versions, held against random events."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mainstay.serving.models.roster import Roster
from mainstay.serving.models.snapshot import Servable, State, VersionStatus
from mainstay.serving.models.sources import Source
from mainstay.serving.models.transitions import Act, Phase
from mainstay.serving.status import Code

A, B, C = (Source("m", number) for number in (1, 2, 3))


def load(roster, source):
    while (action := roster.next_action("availability")) is not None:
        if action == (Act.LOAD, source):
            roster.loaded(source, Servable("m", source.version, {}))
            return
    raise AssertionError("it is not loaded")


def fail(roster, source, *, again=False):
    assert roster.next_action("availability") == (Act.LOAD, source)
    roster.failed(source, ValueError("no"), code=Code.INTERNAL, message="no", again=again)


def test_a_version_goes_through_the_states_of_tf_serving():
    roster = Roster("m")
    roster.want([A])
    states = [roster.statuses()[1].state]
    roster.next_action("availability")
    states.append(roster.statuses()[1].state)
    roster.loaded(A, Servable("m", 1, {}))
    states.append(roster.statuses()[1].state)
    roster.want([])
    assert roster.next_action("availability") == (Act.UNLOAD, A)
    states.append(roster.statuses()[1].state)
    roster.unloaded(A)
    states.append(roster.statuses()[1].state)
    assert states == [State.START, State.LOADING, State.AVAILABLE, State.UNLOADING, State.END]
    assert roster.is_empty


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_and_says_why():
    roster = Roster("m")
    roster.want([A])
    load(roster, A)
    roster.want([B])
    fail(roster, B)
    assert roster.next_action("availability") is None
    assert list(roster.servables()) == [1]
    assert roster.statuses()[2] == VersionStatus(State.END, Code.INTERNAL, "no")


def test_a_version_that_failed_is_tried_again_once_its_folder_has_changed_and_is_at_rest():
    roster = Roster("m")
    roster.want([A])
    fail(roster, A)
    assert list(roster.unready()) == [A]
    for state, expected in (((0, 0, 0), None), ((1, 5, 9), None), ((2, 6, 9), None), ((2, 6, 9), (Act.LOAD, A))):
        roster.looked_at(A, state)
        assert roster.next_action("availability") == expected


def test_a_version_that_waits_for_another_try_goes_when_it_is_not_wanted_any_more():
    roster = Roster("m")
    roster.want([A])
    fail(roster, A, again=True)
    assert roster.statuses()[1].state is State.LOADING
    assert not roster.is_settled
    roster.want([])
    roster.retry(A)
    assert roster.is_empty
    assert roster.next_action("availability") is None


def test_of_two_folders_for_one_version_the_new_one_takes_over():
    old, new = Source("m", 1), Source("m", 1, B.path / "elsewhere")
    roster = Roster("m")
    roster.want([old])
    load(roster, old)
    roster.want([new])
    assert roster.next_action("availability") == (Act.LOAD, new)
    assert roster.statuses()[1].state is State.AVAILABLE
    servable = Servable("m", 1, {})
    roster.loaded(new, servable)
    assert roster.servables() == {1: servable}
    assert roster.next_action("availability") == (Act.UNLOAD, old)
    assert roster.servables() == {1: servable}


def test_only_so_many_versions_that_are_gone_are_remembered():
    roster = Roster("m")
    for number in range(40):
        roster.want([Source("m", number)])
        fail(roster, Source("m", number))
    roster.want([])
    assert len(roster.ends) == 16
    assert max(roster.ends) == 39


class Versions(RuleBasedStateMachine):
    """Folders appear and vanish, loads end well or badly, unloads end when they end."""

    def __init__(self):
        super().__init__()
        self.roster = Roster("m")
        self.transition = "availability"
        self.loading = set()
        self.unloading = set()
        self.in_memory = {}
        self.was_available = False

    @rule(numbers=st.sets(st.integers(1, 4), max_size=3))
    def folders_change(self, numbers):
        self.was_available = self.roster.is_available and bool(numbers)
        self.roster.want(Source("m", number) for number in numbers)
        self.advance()

    def advance(self):
        """Begin what can be done, as the fleet does."""
        while (action := self.roster.next_action(self.transition)) is not None:
            act, source = action
            (self.loading if act is Act.LOAD else self.unloading).add(source)

    @precondition(lambda self: self.loading)
    @rule(data=st.data(), good=st.booleans(), again=st.booleans())
    def a_load_ends(self, data, good, again):
        source = data.draw(st.sampled_from(sorted(self.loading, key=lambda each: each.version)))
        self.loading.discard(source)
        if good:
            servable = Servable("m", source.version, {})
            assert source not in self.in_memory
            self.in_memory[source] = servable
            self.roster.loaded(source, servable)
        else:
            self.roster.failed(source, ValueError(), code=Code.INTERNAL, message="", again=again)
        self.advance()

    @precondition(lambda self: self.unloading)
    @rule(data=st.data())
    def an_unload_ends(self, data):
        source = data.draw(st.sampled_from(sorted(self.unloading, key=lambda each: each.version)))
        self.unloading.discard(source)
        del self.in_memory[source]
        self.roster.unloaded(source)
        self.advance()

    @rule(number=st.integers(1, 4), size=st.integers(1, 2))
    def a_folder_is_looked_at(self, number, size):
        self.roster.looked_at(Source("m", number), (1, size, 0))
        self.advance()

    @rule(number=st.integers(1, 4))
    def it_is_time_for_another_try(self, number):
        self.roster.retry(Source("m", number))
        self.advance()

    @rule()
    def the_way_of_transition_changes(self):
        self.transition = "resources"
        self.was_available = False

    @invariant()
    def what_answers_is_in_memory_and_loaded_once(self):
        for number, servable in self.roster.servables().items():
            assert self.in_memory[Source("m", number)] is servable

    @invariant()
    def a_version_that_is_wanted_and_was_there_never_leaves_none(self):
        if self.transition == "availability" and self.was_available:
            assert self.roster.is_available
        self.was_available = self.roster.is_available and any(v.wanted for v in self.roster.versions.values())

    @invariant()
    def clients_see_the_states_of_the_versions(self):
        statuses = self.roster.statuses()
        for number in self.roster.servables():
            assert statuses[number].state is State.AVAILABLE
        for source in self.loading:
            assert statuses[source.version].state is State.LOADING

    def teardown(self):
        """Whatever was loaded is unloaded in the end."""
        self.roster.want([])
        self.advance()
        for _ in range(100):
            for source in sorted(self.loading, key=lambda each: each.version):
                self.loading.discard(source)
                self.in_memory[source] = Servable("m", source.version, {})
                self.roster.loaded(source, self.in_memory[source])
            self.advance()
            for source in sorted(self.unloading, key=lambda each: each.version):
                self.unloading.discard(source)
                del self.in_memory[source]
                self.roster.unloaded(source)
            self.advance()
        assert self.roster.is_empty
        assert not self.in_memory
        assert Phase.READY not in {version.phase for version in self.roster.versions.values()}


Versions.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestVersions = Versions.TestCase
