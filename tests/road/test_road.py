import json
import subprocess
import sys

import pytest

from mainstay import saved_model, validation
from mainstay.pipeline import RoadOptions, StepFinished, StepReused, run_road


def statuses(options):
    seen = {}

    def on_event(event):
        if isinstance(event, StepFinished | StepReused):
            seen[event.name] = "reused" if isinstance(event, StepReused) else "ran"

    return run_road(options, on_event=on_event), seen


def test_a_run_ends_with_a_verified_version_and_a_report(road):
    result = road.result
    assert result.model == road.output / "model" / "1"
    assert saved_model.verify(result.model).rows["serving_default"] == 32
    assert "<h1>transactions</h1>" in result.report.read_text()
    assert result.evaluation.metrics["auc"] > 0.8
    extra = result.model / "assets.extra" / "mainstay"
    schema = validation.load_schema_text(extra / "schema.pbtxt")
    assert {feature.name for feature in schema.feature} >= {"amount", "merchant", "is_fraud"}
    statistics = validation.load_statistics(extra / "statistics.pb")
    assert (
        statistics.datasets[0].num_examples
        == json.loads(
            next((road.output / "pipeline" / "artifacts" / "ingest").glob("examples/*/summary.json")).read_text()
        )["rows"]["train"]
    )


def test_an_identical_run_reuses_every_step_and_version(road):
    result, seen = statuses(road.options)
    assert set(seen.values()) == {"reused"}
    assert result.reused_everything
    assert result.model == road.result.model
    assert result.evaluation == road.result.evaluation


def test_another_number_of_epochs_runs_from_training_on(road):
    result, seen = statuses(RoadOptions(**{**vars(road.options), "epochs": 1}))
    assert [name for name, status in seen.items() if status == "ran"] == ["train", "package", "evaluate", "report"]
    assert result.model == road.output / "model" / "2"


def test_a_fully_reused_run_imports_neither_jax_nor_keras(road):
    code = f"""
import sys
from pathlib import Path
from mainstay.pipeline import RoadOptions, run_road
output = Path({str(road.output)!r})
result = run_road(RoadOptions(data={road.options.data!r}, label="is_fraud", output=output, epochs=2))
print(result.reused_everything, [name for name in ("jax", "keras") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "True []"


def test_a_row_stays_in_its_split_when_rows_are_added_and_reordered(tmp_path, transactions):
    from mainstay.io import ArrowFile
    from mainstay.pipeline.components.ingest import ingest_table

    header, *lines = transactions.read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([header, *lines[:500]]) + "\n")
    (tmp_path / "b.csv").write_text("\n".join([header, *reversed(lines[:900])]) + "\n")
    for name in "ab":
        ingest_table(str(tmp_path / f"{name}.csv"), label="is_fraud", exclude=(), folder=tmp_path / name)

    def rows(name, split):
        return {
            tuple(row.values())
            for batch in ArrowFile(tmp_path / name / f"{split}.arrow").batches()
            for row in batch.to_pylist()
        }

    for split in ("train", "validation", "eval"):
        assert rows("a", split) < rows("b", split)


def test_equal_seeds_give_equal_weights(road, tmp_path):
    import numpy as np

    again = run_road(RoadOptions(**{**vars(road.options), "output": tmp_path / "again"}))
    for name in ("variables/variables.data-00000-of-00001", "assets.extra/mainstay/host_graph.json"):
        left, right = (np.fromfile(path / name, np.uint8) for path in (road.result.model, again.model))
        assert np.array_equal(left, right), name


def test_the_users_own_functions_are_used(tmp_path, transactions):
    (tmp_path / "shared.py").write_text("SCALE = 2.0\n")
    (tmp_path / "mine.py").write_text(
        "from shared import SCALE\n"
        "from mainstay import keras, transform as tft\n"
        "def features(inputs):\n"
        "    return {'size': tft.scale_to_z_score(tft.log1p(inputs['amount'])) * SCALE,\n"
        "            'place': tft.compute_and_apply_vocabulary(inputs['merchant_country'], num_oov_buckets=1)}\n"
        "def model(features, label):\n"
        "    inputs = {f.name: keras.Input((), dtype=f.dtype, name=f.name) for f in features}\n"
        "    place = next(f for f in features if f.name == 'place')\n"
        "    embedded = keras.layers.Embedding(place.num_ids, 2)(inputs['place'])\n"
        "    joined = keras.layers.Concatenate()([embedded, inputs['size'][:, None]])\n"
        "    return keras.Model(inputs, keras.layers.Dense(len(label.classes), activation='softmax')(joined))\n"
    )
    mine = tmp_path / "mine.py"
    options = RoadOptions(
        data=str(transactions),
        label="is_fraud",
        output=tmp_path / "out",
        epochs=1,
        preprocessing=f"{mine}:features",
        model=f"{mine}:model",
    )
    result = run_road(options)
    signature = saved_model.load(result.model).signatures["serving_default"]
    assert {item.spec.name for item in signature.inputs} == {"amount", "merchant_country"}
    (tmp_path / "shared.py").write_text("SCALE = 3.0\n")
    _, seen = statuses(options)
    assert (seen["ingest"], seen["analyze"]) == ("reused", "ran")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_taxi_tips_are_predicted_with_less_than_two_fifths_of_the_medians_error(shared_data, tmp_path_factory, seed):
    output = tmp_path_factory.getbasetemp() / "taxi"
    options = RoadOptions(data=str(shared_data / "taxi.csv"), label="tips", output=output, seed=seed)
    evaluation = run_road(options).evaluation
    assert evaluation.metrics["mean_absolute_error"] <= 0.40 * evaluation.baseline["mean_absolute_error"]


def test_penguins_are_told_apart(shared_data, tmp_path):
    options = RoadOptions(data=str(shared_data / "penguins.csv"), label="species", output=tmp_path / "out")
    assert run_road(options).evaluation.metrics["accuracy"] >= 0.97


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
def test_the_unit_of_a_quantity_does_not_matter_and_rare_gaps_are_lived_with(tmp_path, scale):
    """One value is missing in each column; wherever it falls, training and measuring go on."""
    rows = (
        f"{'' if i == 7 else i % 50},{'' if i == 9 else 'abc'[i % 3]},{(i % 50) * scale!r},{i}" for i in range(1500)
    )
    (tmp_path / "t.csv").write_text("\n".join(["x,c,y,row", *rows]) + "\n")
    options = RoadOptions(data=str(tmp_path / "t.csv"), label="y", output=tmp_path / "out", epochs=12)
    assert run_road(options).evaluation.metrics["r_squared"] > 0.9
