"""The road: the pipeline from a user's table to a measured, verified, versioned model and its report."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mainstay import __version__
from mainstay.analysis import Evaluation
from mainstay.core import ArgumentError, atomic_folder, digest_tree, storage_errors, write_bytes
from mainstay.io import find_files
from mainstay.pipeline.code import split_reference
from mainstay.pipeline.components import steps
from mainstay.pipeline.events import OnEvent
from mainstay.pipeline.graph import Pipeline


@dataclass(frozen=True)
class RoadOptions:
    """What a run is asked to do.

    Args:
        data: A CSV or Parquet file, a glob, a folder, or several of those.
        label: The column to predict.
        output: The folder for results and for what later runs reuse.
        task: ``auto``, ``classification`` or ``regression``.
        epochs: The most epochs.
        seed: Chooses the initial weights and the order of the rows.
        exclude: Columns to leave out.
        preprocessing: ``FILE.py:function`` of a `preprocessing_fn`, or None for the one derived from the schema.
        model: ``FILE.py:function`` of a model function, or None for the wide-and-deep model.
    """

    data: str | Sequence[str]
    label: str
    output: Path = Path("out")
    task: str = "auto"
    epochs: int = 40
    seed: int = 1
    exclude: Sequence[str] = ()
    preprocessing: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class RoadResult:
    """What a run made.

    Args:
        name: The model's name, from the data's.
        label: The column that it predicts.
        model: The folder of the model's version, `output/model/N`.
        report: The report page.
        evaluation: What the model is worth.
        num_anomalies: How many columns of the held-out rows contradict the schema.
        request: The body of an example request.
        reused_everything: Whether no step had to run.
    """

    name: str
    label: str
    model: Path
    report: Path
    evaluation: Evaluation
    num_anomalies: int
    request: dict[str, Any]
    reused_everything: bool


def model_name(data: str | Sequence[str]) -> str:
    """Return a model name for a URL from the name of its data, such as ``trips`` for ``data/trips.csv``."""
    first = data if isinstance(data, str) else next(iter(data), "")
    stem = Path(re.split(r"[*?\[]", first)[0].rstrip("-_./") or "model").name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_") or "model"


def build_road(options: RoadOptions) -> Pipeline:
    """Return the pipeline of a run, wired but not run.

    Raises:
        ArgumentError: The seed is out of range.
        DataError: There are no data files.
        PipelineError: The reference of a user's function is malformed, or names none.
    """
    if not 0 <= options.seed < 2**32:
        raise ArgumentError("the seed is out of range", expected="0 to 4294967295", received=options.seed)
    for option, reference in (("--preprocessing", options.preprocessing), ("--model", options.model)):
        if reference is not None:
            split_reference(reference, option)
    road = Pipeline("run")
    files = find_files(options.data)
    table = road.source("table", steps.TableFiles, files)
    examples = road.add(steps.ingest, table=table, label=options.label, exclude=tuple(options.exclude))["examples"]
    statistics = road.add(steps.inspect, examples=examples)["statistics"]
    derived = road.add(steps.derive, examples=examples, statistics=statistics, label=options.label, task=options.task)
    schema, target = derived["schema"], derived["target"]
    anomalies = road.add(steps.validate, statistics=statistics, schema=schema)["anomalies"]
    graph = road.add(
        steps.analyze,
        examples=examples,
        statistics=statistics,
        schema=schema,
        target=target,
        preprocessing=options.preprocessing,
    )["graph"]
    features = road.add(steps.transform, examples=examples, graph=graph, target=target)["features"]
    model = road.add(
        steps.train, features=features, epochs=options.epochs, seed=options.seed, model_function=options.model
    )["model"]
    package = road.add(
        steps.package,
        examples=examples,
        statistics=statistics,
        schema=schema,
        graph=graph,
        features=features,
        model=model,
        model_function=options.model,
    )
    evaluation = road.add(
        steps.evaluate, artifact=package["artifact"], examples=examples, statistics=statistics, target=target
    )["evaluation"]
    road.add(
        steps.report,
        examples=examples,
        statistics=statistics,
        schema=schema,
        anomalies=anomalies,
        graph=graph,
        model=model,
        target=target,
        evaluation=evaluation,
        request=package["request"],
        facts=_facts(options, files),
    )
    return road


def _facts(options: RoadOptions, files: Sequence[Path]) -> list[tuple[str, str]]:
    given = {
        "Model name": model_name(options.data),
        "Model folder": (Path(options.output) / "model").as_posix(),
        "Data": ", ".join(file.name for file in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else ""),
        "Label": options.label,
        "Task": options.task,
        "Seed": str(options.seed),
        "Epochs at most": str(options.epochs),
        "Columns left out by hand": ", ".join(options.exclude),
        "Preprocessing": options.preprocessing or "",
        "Model function": options.model or "",
        "Mainstay": __version__,
    }
    return [(name, text) for name, text in given.items() if text]


def run_road(options: RoadOptions, *, on_event: OnEvent | None = None) -> RoadResult:
    """Go the road: read, inspect, transform, train, package, verify, measure, report.

    Steps whose inputs, parameters and code have not changed since an earlier run in the same output folder are
    reused. A model that differs from the latest version becomes the next version, `output/model/N`.

    Args:
        options: What to do.
        on_event: Called with each event of the pipeline.

    Raises:
        MainstayError: Of any kind; results of the steps before stay reusable.
    """
    output = Path(options.output)
    road = build_road(options)
    with storage_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    result = road.run(output / "pipeline", on_event=on_event)
    model = publish(result["package"]["artifact"], output / "model")
    report = output / "report.html"
    write_bytes(report, result["report"]["page"].read_bytes())
    return RoadResult(
        model_name(options.data),
        options.label,
        model,
        report,
        Evaluation.from_json(steps.read_json(result["evaluate"]["evaluation"])),
        _count_anomalies(result["validate"]["anomalies"]),
        steps.read_json(result["package"]["request"]),
        result.reused_everything,
    )


def _count_anomalies(path: Path) -> int:
    return len(re.findall(r"^anomaly_info \{", path.read_text(), re.MULTILINE))


def publish(artifact: Path, folder: Path) -> Path:
    """Copy a saved model into a folder of numbered versions, unless the latest version is the same.

    Args:
        artifact: The saved model.
        folder: The folder of versions, as a server takes it.

    Returns:
        The version's folder.
    """
    names = [path.name for path in folder.glob("*") if path.is_dir() and path.name.isascii() and path.name.isdecimal()]
    versions = sorted(int(name) for name in names if name == str(int(name)))
    if versions and digest_tree(folder / str(versions[-1])) == digest_tree(artifact):
        return folder / str(versions[-1])
    version = folder / str(versions[-1] + 1 if versions else 1)
    with atomic_folder(version) as fresh:
        shutil.copytree(artifact, fresh, dirs_exist_ok=True)
    return version
