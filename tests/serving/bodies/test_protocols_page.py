"""The examples of the page about protocols run against a server."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from mainstay.core import TensorSpec

PAGE = "docs/how-to/serving-protocols.md"


@pytest.fixture
def digits(start, fakes):
    def answer(columns):
        return {"probs": np.zeros((len(columns[0]), 10), np.float32)}

    output = TensorSpec([None, 10], "float32", "probs")
    signature = fakes.Signature([fakes.input("x", "float32", 784)], [output], answer)
    return start({"digits": fakes.Model(serving_default=signature)})


def blocks(pytestconfig, language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (pytestconfig.rootpath / PAGE).read_text(), re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def test_the_programs_run(digits, pytestconfig, capsys):
    programs = blocks(pytestconfig, "python")
    for program in programs:
        exec(program.replace("127.0.0.1:8501", f"127.0.0.1:{digits.port}"), {})
    assert (len(programs), capsys.readouterr().out) == (2, "(2, 10)\n2\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_the_commands_run(digits, pytestconfig, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 784), np.float32))
    commands = [block for block in blocks(pytestconfig, "") if block.startswith("curl")]
    values = ", ".join(["0.5"] * 784)
    answers = []
    for command in commands:
        text = command.replace("127.0.0.1:8501", f"127.0.0.1:{digits.port}").replace("0.5, …", values)
        done = subprocess.run(
            ["sh", "-c", text.replace("curl ", "curl --noproxy '*' ")], cwd=tmp_path, capture_output=True
        )
        answers.append(done.stdout[:12])
    assert answers == [b'{"outputs":[', b'{"model_name']
