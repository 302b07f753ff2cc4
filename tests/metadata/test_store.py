"""The lineage store: atomic records, contexts, lineage, bad values, and two processes at once."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.core import MetadataError
from mainstay.metadata import Artifact, Context, Execution, MetadataStore

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
PIPELINE = Context("pipeline", "road")


def digest(letter: str) -> str:
    return letter * 64


def execution(name: str = "train", **fields: object) -> Execution:
    values: dict[str, object] = {
        "type": f"steps:{name}",
        "name": name,
        "state": "complete",
        "started": NOON,
        "finished": NOON + timedelta(seconds=3),
    }
    return Execution(**{**values, **fields})  # type: ignore[arg-type]


DATA = Artifact("Table", "/data/a.csv", digest("a"))
EXAMPLES = Artifact("Examples", "artifacts/ingest/examples/b", digest("b"), {"rows": 7})
MODEL = Artifact("Model", "artifacts/train/model/c", digest("c"))


@pytest.fixture
def store(tmp_path):
    with MetadataStore(tmp_path / "deep" / "metadata.sqlite") as opened:
        yield opened


def ingest() -> Execution:
    return execution("ingest", inputs={"data": (DATA,)}, outputs={"examples": (EXAMPLES,)}, cache_key=digest("1"))


def train() -> Execution:
    return execution("train", inputs={"examples": (EXAMPLES,)}, outputs={"model": (MODEL,)}, cache_key=digest("2"))


def test_an_execution_comes_back_as_it_was_recorded(store):
    whole = execution(
        inputs={"data": (DATA, replace(DATA, uri="/data/b.csv"))},
        outputs={"model": (MODEL,)},
        parameters={"epochs": 3, "rate": 0.1, "names": ["ä", None, True], "deep": {"x": {}}},
        cache_key=digest("1"),
        code_digest=digest("2"),
        environment={"python": "3.11.2"},
        properties={"version": 1},
    )
    recorded = store.record(whole, [PIPELINE])
    found = store.find_execution(digest("1"))
    assert found == recorded
    assert found.inputs["data"][1].uri == "/data/b.csv"
    unnumbered = {
        kind: {name: tuple(replace(a, id=None) for a in artifacts) for name, artifacts in events.items()}
        for kind, events in (("inputs", found.inputs), ("outputs", found.outputs))
    }
    assert replace(found, id=None, **unnumbered) == whole


def test_a_reopened_store_has_what_was_recorded(tmp_path):
    path = tmp_path / "metadata.sqlite"
    with MetadataStore(path) as store:
        store.record(train())
    with MetadataStore(path) as store:
        assert store.find_execution(digest("2")) is not None


def test_times_of_any_zone_are_the_same_instant(store):
    from datetime import timezone

    store.record(execution(cache_key=digest("1"), started=NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))))
    assert store.find_execution(digest("1")).started == NOON


def test_only_complete_executions_are_found_by_key_and_the_latest_wins(store):
    store.record(execution(state="failed", error="boom", cache_key=digest("1")))
    store.record(execution(state="canceled", cache_key=digest("1")))
    assert store.find_execution(digest("1")) is None
    first = store.record(execution(cache_key=digest("1")))
    second = store.record(execution(cache_key=digest("1"), parameters={"again": True}))
    assert first.id != second.id
    assert store.find_execution(digest("1")) == second
    assert store.find_execution(digest("9")) is None


def test_equal_artifacts_are_one_and_others_are_not(store):
    one = store.record(ingest()).outputs["examples"][0]
    two = store.record(train()).inputs["examples"][0]
    assert one.id == two.id
    other = store.record(execution(outputs={"x": (replace(EXAMPLES, digest=digest("d")),)})).outputs["x"][0]
    assert other.id != one.id


def test_the_same_artifact_may_come_twice_in_one_input(store):
    recorded = store.record(execution(inputs={"data": (DATA, DATA)}))
    assert len({artifact.id for artifact in recorded.inputs["data"]}) == 1
    assert store.executions()[0].inputs["data"] == recorded.inputs["data"]


def test_many_inputs_keep_their_order(store):
    files = tuple(Artifact("Table", f"/data/{(i * 7919) % 3000}.csv", f"{i % 7:064x}") for i in range(3000))
    store.record(execution(inputs={"data": files}))
    assert [a.uri for a in store.executions()[0].inputs["data"]] == [a.uri for a in files]


def test_a_run_lists_what_it_ran_and_what_it_reused(store):
    first = store.start_run("road", {"state": "running"})
    done = store.record(ingest(), [PIPELINE, first])
    second = store.start_run("road", {})
    store.reuse(done, [PIPELINE, second])
    store.reuse(done, [PIPELINE, second])
    store.record(train(), [PIPELINE, second])
    assert [(e.name, e.reused) for e in store.executions(context=first)] == [("ingest", False)]
    assert [(e.name, e.reused) for e in store.executions(context=second)] == [("train", False), ("ingest", True)]
    assert [e.name for e in store.executions(context=Context("pipeline", "road"), name="train")] == ["train"]
    assert {a.uri for a in store.artifacts(context=second)} == {DATA.uri, EXAMPLES.uri, MODEL.uri}
    assert {a.uri for a in store.artifacts(context=first)} == {DATA.uri, EXAMPLES.uri}
    assert [a.uri for a in store.artifacts(type_name="Model")] == [MODEL.uri]


def test_runs_are_numbered_per_pipeline_and_remember_how_they_ended(store):
    names = [store.start_run(name, {}).name for name in ("road", "road", "other", "road", "roa", "road_")]
    assert names == ["road/000001", "road/000002", "other/000001", "road/000003", "roa/000001", "road_/000001"]
    run = store.start_run("road", {"state": "running", "label": "tips"})
    store.finish_run(run, {"state": "complete"})
    assert store.contexts(type_name="run")[0].properties == {"state": "complete", "label": "tips"}
    with pytest.raises(MetadataError, match="slash"):
        store.start_run("a/b", {})


def test_lineage_names_every_execution_and_the_outside_data(store):
    store.record(ingest())
    store.record(train())
    store.record(execution("unrelated", inputs={"data": (DATA,)}))
    for name in (MODEL.digest, MODEL.digest[:8], MODEL.uri):
        lineage = store.lineage(name)
        assert [e.name for e in lineage.executions] == ["ingest", "train"]
        assert [a.uri for a in lineage.sources] == [DATA.uri]
        assert [a.uri for a in lineage.artifacts] == [MODEL.uri]
    outside = store.lineage(DATA.uri)
    assert outside.executions == ()
    assert [a.uri for a in outside.sources] == [DATA.uri]


def test_lineage_counts_repetitions_once_other_derivations_too_and_failures_never(store):
    store.record(ingest())
    again = store.record(ingest())
    other = store.record(execution("ingest", inputs={"data": (replace(DATA, uri="/data/z.csv"),)},
                                   outputs={"examples": (EXAMPLES,)}, cache_key=digest("7")))  # fmt: skip
    store.record(execution("ingest", outputs={"examples": (EXAMPLES,)}, state="failed"))
    assert [e.id for e in store.lineage(EXAMPLES.digest).executions] == [again.id, other.id]


def test_lineage_of_a_long_chain_of_diamonds_and_of_a_cycle_ends(store):
    def artifact(level: int, side: str) -> Artifact:
        return Artifact("X", f"{side}/{level}", f"{level:063x}{'1' if side == 'l' else '2'}")

    for level in range(40):
        inputs = {} if level == 0 else {"x": (artifact(level - 1, "l"), artifact(level - 1, "r"))}
        outputs = {"l": (artifact(level, "l"),), "r": (artifact(level, "r"),)}
        store.record(execution(f"step{level}", inputs=inputs, outputs=outputs))
    assert len(store.lineage("l/39").executions) == 40
    store.record(execution("in_place", inputs={"m": (MODEL,)}, outputs={"m": (MODEL,)}))
    assert [e.name for e in store.lineage(MODEL.uri).executions] == ["in_place"]


def test_an_unknown_or_ambiguous_artifact_is_refused(store):
    store.record(execution(outputs={"x": (Artifact("X", "x", "ab" * 4 + digest("0")[8:]),)}))
    store.record(execution(outputs={"x": (Artifact("X", "y", "ab" * 4 + digest("1")[8:]),)}))
    with pytest.raises(MetadataError, match="several artifacts"):
        store.lineage("abababab")
    for name in ("abab", "no/such", "", "%", "ffffffff"):
        with pytest.raises(MetadataError, match="no such artifact"):
            store.lineage(name)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "running"},
        {"started": datetime(2026, 1, 1)},
        {"finished": "now"},
        {"parameters": {"x": float("nan")}},
        {"parameters": {"x": object()}},
        {"parameters": {1: 2}},
        {"parameters": []},
        {"cache_key": "xyz"},
        {"code_digest": "A" * 64},
        {"name": ""},
        {"name": "a\0b"},
        {"name": "\udc80"},
        {"error": ""},
        {"inputs": {"": ()}},
        {"outputs": {"model": ("x",)}},
    ],
)
def test_a_wrong_field_of_an_execution_is_refused(fields):
    with pytest.raises(MetadataError):
        execution(**fields)


@pytest.mark.parametrize("fields", [{"type": ""}, {"uri": ""}, {"digest": "abc"}, {"digest": None}, {"uri": None}])
def test_a_wrong_field_of_an_artifact_is_refused(fields):
    with pytest.raises(MetadataError):
        replace(MODEL, **fields)


def test_self_referring_properties_are_refused():
    endless: dict[str, object] = {}
    endless["x"] = endless
    with pytest.raises(MetadataError, match="plain JSON"):
        Context("run", "x", endless)


def test_nothing_is_recorded_when_any_part_fails(store, monkeypatch):
    from mainstay.metadata import rows

    def fail(*arguments, **options):
        raise MetadataError("boom")

    monkeypatch.setattr(rows, "associate", fail)
    with pytest.raises(MetadataError, match="boom"):
        store.record(ingest(), [PIPELINE])
    monkeypatch.undo()
    assert store.executions() == []
    assert store.artifacts() == []
    assert store.contexts() == []


def test_what_is_not_recorded_cannot_be_reused_or_asked_for(store):
    with pytest.raises(MetadataError, match="recorded"):
        store.reuse(ingest(), [PIPELINE])
    with pytest.raises(MetadataError, match="no such context"):
        store.executions(context=PIPELINE)


def test_file_digests_are_remembered_and_replaced(store):
    store.remember_digests({f"/f{i}": (f"{i}:1", digest("a")) for i in range(1200)})
    store.remember_digests({"/f7": ("new", digest("b"))})
    known = store.known_digests(["/f7", "/f8", "/nowhere"])
    assert known == {"/f7": ("new", digest("b")), "/f8": ("8:1", digest("a"))}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    with MetadataStore(tmp_path_factory.mktemp("shared") / "metadata.sqlite") as opened:
        yield opened


@settings(max_examples=40, deadline=None)
@given(parameters=st.dictionaries(st.text(), plain, max_size=4))
def test_any_json_value_survives(shared_store, parameters):
    shared_store.record(execution(parameters=parameters, cache_key=digest("5")))
    assert shared_store.find_execution(digest("5")).parameters == parameters


def _write_many(path: Path, worker: int) -> None:
    with MetadataStore(path) as store:
        for i in range(25):
            run = store.start_run("road", {})
            output = Artifact("Model", f"{worker}/{i}", f"{worker * 1000 + i:064x}")
            store.record(execution(inputs={"data": (DATA,)}, outputs={"model": (output,)}), [PIPELINE, run])


def test_processes_that_write_at_once_lose_and_duplicate_nothing(tmp_path):
    path = tmp_path / "metadata.sqlite"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_write_many, args=(path, worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with MetadataStore(path) as store:
        store.check()
        assert len(store.executions()) == 75
        assert len(store.artifacts()) == 76
        names = sorted(context.name for context in store.contexts(type_name="run"))
        assert names == [f"road/{number:06d}" for number in range(1, 76)]
