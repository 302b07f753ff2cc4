"""What a user can hand in wrong: each ends in a message that says where, what and how, and leaves nothing half-made."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys

import pytest

from mainstay import saved_model
from mainstay.cli import main

ROWS = [f"{i},{i % 7 + 0.5},{'abc'[i % 3]}" for i in range(60)]
HOLES = [f"{row},{'' if i % 5 == 0 else i / 2}" for i, row in enumerate(ROWS)]


@pytest.fixture
def attempt(tmp_path, capsys):
    """Run `mainstay run` on a table's text or bytes; returns the exit code and the message."""

    def run(content, *options, label="y", name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        arguments = ["run", str(path), "--label", label, "--output", str(tmp_path / "out"), "--quiet", "--epochs", "1"]
        code = main([*arguments, *options])
        return code, capsys.readouterr().err

    return run


def table(*rows, header="x,y,c"):
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    ("content", "options", "label", "words"),
    [
        (table(*ROWS), (), "z", ["MS110", "--label", "no column named 'z'", "x, y, c"]),
        (table(*ROWS, header="x,tips,c"), (), "tipps", ["did you mean 'tips'"]),
        (table(*ROWS), ("--exclude", "cc"), "y", ["--exclude", "no column named 'cc'"]),
        (table(*ROWS), ("--exclude", "y"), "y", ["label cannot be left out"]),
        (table(*[f"{i},,a" for i in range(60)]), (), "y", ["MS120", "label is missing in every row", "column 'y'"]),
        (table(*[f"{i},3.5,a" for i in range(60)]), (), "y", ["same value in every row", "3.5"]),
        (table(*[f"{i},no,a" for i in range(60)]), (), "y", ["same value in every row", "'no'"]),
        (table("1,2.5,a"), (), "y", ["too few rows", "1 rows"]),
        (table(), (), "y", ["too few rows", "0 rows"]),
        ("", (), "y", ["MS120", "empty"]),
        (table(*ROWS, header="x,y,x"), (), "y", ["MS120", "'x'"]),
        (table(*[",".join(["", str(i % 7), ""]) for i in range(60)]), (), "y", ["no column is left to learn from"]),
        (table(*ROWS[:30], "1,2", *ROWS[30:]), (), "y", ["line 32", "3 fields", "2 fields"]),
        (b"\x7fELF\x02\x01\x01" + bytes(500), (), "y", ["MS120", "table.csv"]),
        (b"\x89PNG\r\n\x1a\n" + os.urandom(64), (), "y", ["MS120", "table.csv"]),
        ("x,y,c\n1,2.5,Z\u00fcrich\n".encode("latin-1"), (), "y", ["MS120", "UTF-8", "iconv"]),
        ("x,y\n1,2.5\n".encode("utf-16"), (), "y", ["MS120", "UTF-16"]),
        (table(*ROWS), ("--task", "classification"), "y", ["whole numbers or text"]),
        (table(*ROWS), ("--task", "regression"), "c", ["label of numbers"]),
        (table(*ROWS), ("--preprocessing", "nowhere.py:f"), "y", ["--preprocessing", "nowhere.py"]),
        (table(*ROWS), ("--model", "model.txt"), "y", ["FILE.py:function"]),
    ],
)
def test_a_table_or_an_option_that_cannot_work_is_explained(attempt, tmp_path, content, options, label, words):
    code, message = attempt(content, *options, label=label)
    assert code == 2
    for word in words:
        assert word in message
    assert not (tmp_path / "out" / "model").exists()
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["run", str(tmp_path / "trips.csv"), "--label", "y"]) == 2
    assert "trips.csv" in capsys.readouterr().err


def test_oddities_that_can_be_lived_with_are(attempt, tmp_path):
    big = "w" * (10 << 20)
    rows = [f"{i},{i % 7 + 0.5},{'12' if i % 2 else 'mixed'},,{'x' if i else big}" for i in range(80)]
    code, message = attempt(table(*rows, header="x,y,mixed,empty,wide"))
    assert (code, message) == (0, "")
    schema = (tmp_path / "out" / "model" / "1" / "assets.extra" / "mainstay" / "schema.pbtxt").read_text()
    assert '"mixed"' in schema
    plan = json.loads(next((tmp_path / "out").glob("pipeline/artifacts/analyze/graph/*/plan.json")).read_text())
    treatment = {row["column"]: row["treatment"] for row in plan}
    assert (treatment["mixed"], treatment["empty"]) == ("category", "left out")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(inputs):\n    return 1 / 0\n", ["MS140", "ZeroDivisionError", "mine.py:2"]),
        ("def f(inputs):\n    return {'x': inputs['nope']}\n", ["MS140", "nope"]),
        ("def f(inputs):\n    return {}\n", ["MS140", "no feature"]),
        ("def f(inputs):\n    return {'c': inputs['c']}\n", ["MS140", "$.c", "strings"]),
        ("def f(inputs):\n    if inputs['x'] > 1:\n        pass\n", ["MS140", "mine.py:2", "tft.where"]),
        (
            "def f(inputs):\n    return {'x': inputs['y'] if 'y' in inputs else inputs['holes']}\n",
            ["MS140", "'x'", "fill"],
        ),
        (
            "from mainstay import transform as tft\n"
            "def f(inputs):\n    return {'c': tft.compute_and_apply_vocabulary(inputs['c'], 9999)}\n",
            ["MS140", "$.c", "num_oov_buckets"],
        ),
        ("def g(inputs):\n    return {}\n", ["mine.py has no such function", "expected: g", "received: f"]),
        ("def f(inputs)\n", ["mine.py:1", "not valid Python"]),
    ],
)
def test_a_preprocessing_function_that_fails_names_its_line(attempt, tmp_path, source, words):
    (tmp_path / "mine.py").write_text(source)
    code, message = attempt(table(*HOLES, header="x,y,c,holes"), "--preprocessing", f"{tmp_path / 'mine.py'}:f")
    assert code == 2
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(features, label):\n    return 3\n", ["MS150", "keras.Model", "int"]),
        ("def f(features, label):\n    raise KeyError('depth')\n", ["MS150", "KeyError", "line 2"]),
        (
            "from mainstay import keras\n"
            "def f(features, label):\n"
            "    inputs = {x.name: keras.Input((), dtype=x.dtype, name=x.name) for x in features}\n"
            "    return keras.Model(inputs, keras.ops.stack([inputs['x'], inputs['x']], axis=1))\n",
            ["MS150", "wrong shape", "[batch, 2]"],
        ),
        (
            "from mainstay import keras\n"
            "def f(features, label):\n"
            "    inputs = {x.name + '2': keras.Input((), dtype=x.dtype, name=x.name + '2') for x in features}\n"
            "    return keras.Model(inputs, inputs['x2'])\n",
            ["MS150", "inputs are not the features", "x2"],
        ),
        (
            "from mainstay import keras\n"
            "class Mine(keras.Model):\n"
            "    def call(self, inputs):\n"
            "        return inputs['x']\n"
            "def f(features, label):\n"
            "    return Mine()\n",
            ["MS150", "inputs of this model are not known"],
        ),
    ],
)
def test_a_model_function_that_does_not_fit_is_refused(attempt, tmp_path, source, words):
    (tmp_path / "mine.py").write_text(source)
    code, message = attempt(table(*ROWS), "--model", f"{tmp_path / 'mine.py'}:f")
    assert code == 2
    for word in words:
        assert word in message


def test_a_classifier_that_ends_in_logits_is_refused_before_training(attempt, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from mainstay import keras\n"
        "def f(features, label):\n"
        "    inputs = {x.name: keras.Input((), dtype=x.dtype, name=x.name) for x in features}\n"
        "    return keras.Model(inputs, keras.layers.Dense(len(label.classes))(inputs['x'][:, None]))\n"
    )
    code, message = attempt(table(*ROWS), "--model", f"{tmp_path / 'mine.py'}:f", label="c")
    assert code == 2
    assert "no probabilities" in message


def test_features_of_whole_numbers_and_a_model_with_a_column_of_outputs_work(attempt, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from mainstay import keras, transform as tft\n"
        "def features(inputs):\n"
        "    return {'x': inputs['x'], 'big': inputs['x'] > 3, 'x_float32': inputs['x'] * 2}\n"
        "def model(features, label):\n"
        "    inputs = {x.name: keras.Input((), dtype=x.dtype, name=x.name) for x in features}\n"
        "    joined = keras.ops.stack([inputs[x.name] for x in features], axis=1)\n"
        "    return keras.Model(inputs, keras.layers.Dense(1)(joined))\n"
    )
    mine = tmp_path / "mine.py"
    code, message = attempt(table(*ROWS), "--preprocessing", f"{mine}:features", "--model", f"{mine}:model")
    assert (code, message) == (0, "")


def test_no_permission_to_write_is_said(tmp_path, transactions):
    """As root nothing is forbidden, so the folder's place is taken by a file."""
    (tmp_path / "taken").write_text("")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mainstay",
            "run",
            str(transactions),
            "--label",
            "is_fraud",
            "--output",
            str(tmp_path / "taken" / "out"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "MS300" in done.stderr
    assert "taken" in done.stderr


def test_a_full_disk_leaves_no_half_written_version(road, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out"
    shutil.copytree(road.output, output)
    shutil.rmtree(output / "model")

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    arguments = ["run", road.options.data, "--label", "is_fraud", "--output", str(output), "--epochs", "2", "--quiet"]
    assert main(arguments) == 2
    assert "No space left" in capsys.readouterr().err
    assert list((output / "model").iterdir()) == []


def test_an_artifact_that_was_edited_is_refused_naming_the_file(road, tmp_path, capsys):
    copy = tmp_path / "m"
    shutil.copytree(road.result.model, copy)
    weights = copy / "variables" / "variables.data-00000-of-00001"
    data = bytearray(weights.read_bytes())
    data[100] ^= 1
    weights.write_bytes(data)
    for command in (["verify", str(copy)], ["serve", "--model", f"m={copy}", "--rest-port", "0"]):
        assert main(command) == 2
        message = capsys.readouterr().err
        assert "MS210" in message
        assert "variables.data-00000-of-00001" in message


def test_a_port_in_use_is_said(road, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--model", f"m={road.result.model}", "--rest-port", str(port)]) == 2
    message = capsys.readouterr().err
    assert "MS500" in message
    assert str(port) in message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instances": [{"amount": "much"}]}, ["$.instances[0]"]),
        ({"instances": [{}]}, ["$.instances[0]"]),
        ({"instances": "all"}, ["instances"]),
        ({"rows": []}, ["instances"]),
        ([], ["$: expected an object"]),
    ],
)
def test_a_request_that_does_not_fit_is_answered_with_400_and_its_place(served, body, words):
    status, answer = served(body)
    assert status == 400
    for word in words:
        assert word in answer["error"]


def test_a_value_of_the_wrong_type_is_found_in_its_row(road, served):
    good = road.result.request["instances"][0]
    assert served({"instances": [good]})[0] == 200
    status, answer = served({"instances": [good, good, {**good, "amount": "much"}]})
    assert status == 400
    assert '$.instances[2].amount: expected float64, received "much"' in answer["error"]
    status, answer = served({"instances": [{**good, "amont": 1.0}]})
    assert status == 400
    assert "did you mean 'amount'" in answer["error"]


def test_verify_and_model_arguments_are_checked(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "nothing")]) == 2
    assert "MS2" in capsys.readouterr().err
    assert main(["serve", "--model", "trips"]) == 2
    assert "NAME=PATH" in capsys.readouterr().err
    assert main(["serve", "--model", "a=x", "--model", "a=y"]) == 2
    assert "two models have one name" in capsys.readouterr().err


def test_verify_says_what_it_checked(road, capsys):
    for path in (road.result.model, road.result.model.parent):
        assert main(["verify", str(path)]) == 0
        assert "verified" in capsys.readouterr().out
    assert isinstance(saved_model.verify(road.result.model), saved_model.VerifyReport)
