"""The real TensorBoard's HTTP API serves what the callback and `mainstay.summary` wrote."""

import json
import struct
import zlib
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
import pytest


def query(path: str, **parameters: object) -> str:
    return f"{path}?{urlencode(parameters, quote_via=quote)}"


def points(board, run: str, tag: str) -> list:
    return board.json(query("plugin/scalars/scalars", run=run, tag=tag))


def test_the_runs_are_the_folders(board) -> None:
    assert {"run/train", "run/validation", "notes", "trials", "trials/0", "trials/1"} <= set(board.json("runs"))


def test_metrics_of_a_training_are_served(board) -> None:
    tags = board.json("plugin/scalars/tags")
    epoch = {"epoch_loss", "epoch_accuracy", "epoch_learning_rate", "epoch_steps_per_second"}
    assert set(tags["run/train"]) == epoch | {"batch_loss", "batch_accuracy", "batch_steps_per_second"}
    evaluation = {"evaluation_loss_vs_iterations", "evaluation_accuracy_vs_iterations"}
    assert set(tags["run/validation"]) == {"epoch_loss", "epoch_accuracy"} | evaluation
    assert [step for _, step, _ in points(board, "run/train", "epoch_loss")] == list(range(6))
    assert [step for _, step, _ in points(board, "run/train", "batch_loss")] == list(range(4, 73, 4))
    iterations = [step for _, step, _ in points(board, "run/validation", "evaluation_loss_vs_iterations")]
    assert iterations == [12 * epoch for epoch in range(1, 7)]
    np.testing.assert_allclose([value for *_, value in points(board, "run/train", "epoch_learning_rate")], 0.01)


def test_scalars_are_served_with_their_description_and_their_holes(board) -> None:
    assert "<em>sine</em>" in board.json("plugin/scalars/tags")["notes"]["curve/sine"]["description"]
    sine = points(board, "notes", "curve/sine")
    np.testing.assert_allclose([value for *_, value in sine], np.sin(np.arange(20) / 3), rtol=1e-6)
    holes = [value for *_, value in points(board, "notes", "curve/holes")]
    assert [float(value) == step for step, value in enumerate(holes)] == [step % 3 == 0 for step in range(20)]


def test_histograms_are_served(board) -> None:
    tags = board.json("plugin/histograms/tags")
    assert {"conv/kernel/histogram", "vocabulary/embeddings/histogram"} <= set(tags["run/train"])
    series = board.json(query("plugin/histograms/histograms", run="notes", tag="spread"))
    assert [step for _, step, _ in series] == list(range(20))
    buckets = np.array(series[0][2])
    assert buckets.shape == (30, 3)
    assert buckets[:, 2].sum() == 1000
    expected = np.random.default_rng(0).normal(0, 1, 1000)
    assert (buckets[0, 0], buckets[-1, 1]) == (expected.min(), expected.max())


def test_distributions_are_served(board) -> None:
    assert board.json(query("plugin/distributions/distributions", run="notes", tag="spread"))


def decoded(data: bytes) -> tuple[int, int, int]:
    """The width, the height and the length of the pixels of a PNG file."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack_from(">II", data, 16)
    start = data.index(b"IDAT") + 4
    return width, height, len(zlib.decompressobj().decompress(data[start:]))


def test_images_are_served_and_decode(board) -> None:
    assert {"conv/kernel/image", "hidden/kernel/image"} <= set(board.json("plugin/images/tags")["run/train"])
    [entry] = board.json(query("plugin/images/images", run="notes", tag="gradient", sample=0))
    assert entry["step"] == 3
    assert decoded(board.get(f"plugin/images/individualImage?{entry['query']}")) == (64, 48, 48 * (1 + 64 * 3))
    kernels = board.json(query("plugin/images/images", run="run/train", tag="conv/kernel/image", sample=0))
    assert len(kernels) == 6
    assert decoded(board.get(f"plugin/images/individualImage?{kernels[-1]['query']}")) == (3, 3, 3 * 4)


def test_graphs_are_served(board) -> None:
    info = board.json("plugin/graphs/info")
    assert info["run/train"]["run_graph"] is True
    assert info["run/train"]["tags"]["keras"]["conceptual_graph"] is True
    operations = board.get(query("plugin/graphs/graph", run="run/train")).decode()
    for name in ("conv/kernel", "hidden/dot_general", "inputs/words", "answer/add"):
        assert f'name: "{name}"' in operations
    layers = board.get(query("plugin/graphs/graph", run="run/train", tag="keras", conceptual="true")).decode()
    for name in ("vocabulary", "conv", "join", "answer"):
        assert f'name: "small/{name}"' in layers
    assert 'input: "small/join"' in layers
    assert "dot_general" in board.get(query("plugin/graphs/graph", run="notes")).decode()


def test_texts_are_served_as_rendered_markdown(board) -> None:
    assert "note" in board.json("plugin/text/tags")["notes"]
    [entry] = board.json(query("plugin/text/text", run="notes", tag="note"))
    assert "<strong>bold</strong>" in entry["text"]


def test_hyperparameters_are_served(board) -> None:
    experiment = board.json("plugin/hparams/experiment", experimentName="")
    assert {info["name"] for info in experiment["hparamInfos"]} == {"rate", "optimizer"}
    assert [info["name"]["tag"] for info in experiment["metricInfos"]] == ["accuracy"]
    body = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        "colParams": [],
        "startIndex": 0,
        "sliceSize": 10,
    }
    groups = board.json("plugin/hparams/session_groups", **body)["sessionGroups"]
    trials = sorted((group["hparams"]["rate"], group["hparams"]["optimizer"]) for group in groups)
    assert trials == [(0.1, "adam"), (0.5, "sgd")]
    assert {group["sessions"][0]["status"] for group in groups} == {"STATUS_SUCCESS"}
    values = sorted(group["metricValues"][0]["value"] for group in groups)
    np.testing.assert_allclose(values, [0.9, 0.94], rtol=1e-6)


def test_embeddings_are_served(board) -> None:
    [run] = board.wait_for("plugin/projector/runs", bool)
    assert run == "run/train"
    [table] = board.json(query("plugin/projector/info", run=run))["embeddings"]
    assert (table["tensorName"], table["tensorShape"]) == ("vocabulary/embeddings", [50, 8])
    values = np.frombuffer(board.get(query("plugin/projector/tensor", run=run, name=table["tensorName"])), "<f4")
    assert values.shape == (400,)
    assert np.isfinite(values).all()
    assert values.std() > 0
    labels = board.get(query("plugin/projector/metadata", run=run, name=table["tensorName"])).decode()
    assert labels.splitlines() == [f"word {number}" for number in range(50)]


def test_the_profile_is_served(board) -> None:
    if "profile" not in board.json("plugins_listing"):
        pytest.skip("TensorBoard has no profile plugin on this system")
    [run] = board.json("plugin/profile/runs")
    assert run.startswith("run/train/")
    tools = board.json(query("plugin/profile/run_tools", run=run))
    assert "trace_viewer" in " ".join(tools)
    [host] = board.json(query("plugin/profile/hosts", run=run, tag="overview_page"))
    trace = json.loads(board.get(query("plugin/profile/data", run=run, tag="trace_viewer", host=host["hostname"])))
    steps = {event["name"] for event in trace["traceEvents"] if "name" in event}
    assert any("batch" in name for name in steps)


def test_nothing_of_this_needs_tensorflow(tensorboard_python: Path) -> None:
    assert not list(tensorboard_python.parent.parent.glob("lib/python*/site-packages/tensorflow"))
