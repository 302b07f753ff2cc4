"""What a traffic file may say, and what is said where it is wrong."""

import json

import pytest

from mainstay.core import ArgumentError, StorageError
from mainstay.serving.traffic.config import Tolerance, parse_traffic, read_traffic

WHOLE = {
    "models": {
        "fare": {
            "weights": {"stable": 95, "12": 5},
            "sticky": ["X-User", "client"],
            "shadows": [
                {
                    "to": "canary",
                    "fraction": 0.1,
                    "absolute_tolerance": 0.5,
                    "relative_tolerance": 0,
                    "most_in_flight": 2,
                    "examples": 3,
                },
                {"to": 13},
            ],
        }
    }
}


def test_everything_is_read():
    fare = parse_traffic(WHOLE).models["fare"]
    assert dict(fare.weights) == {"stable": 95.0, 12: 5.0}
    assert fare.sticky == ("x-user", "client")
    first, second = fare.shadows
    assert (first.to, first.fraction, first.tolerance, first.most_in_flight, first.examples) == (
        "canary",
        0.1,
        Tolerance(0.5, 0.0),
        2,
        3,
    )
    assert (second.to, second.fraction) == (13, 1.0)


def test_a_toml_file_says_the_same_as_a_json_file(tmp_path):
    (tmp_path / "traffic.json").write_text(json.dumps(WHOLE))
    (tmp_path / "traffic.toml").write_text(
        '[models.fare]\nsticky = ["X-User", "client"]\nweights = { stable = 95, 12 = 5 }\n'
        '[[models.fare.shadows]]\nto = "canary"\nfraction = 0.1\nabsolute_tolerance = 0.5\nrelative_tolerance = 0\n'
        "most_in_flight = 2\nexamples = 3\n[[models.fare.shadows]]\nto = 13\n"
    )
    assert read_traffic(tmp_path / "traffic.toml") == read_traffic(tmp_path / "traffic.json")


@pytest.mark.parametrize("text", ["", "[", '{"models":{}} x', "\xff\xfe", "[" * 100_000, '{"models":1,"models":2}'])
def test_a_file_that_is_no_json_is_refused_with_its_path(tmp_path, text):
    path = tmp_path / "traffic.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ArgumentError) as caught:
        read_traffic(path)
    assert caught.value.where.startswith(str(path))


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StorageError):
        read_traffic(tmp_path / "absent.json")


def test_a_file_of_many_megabytes_is_refused(tmp_path):
    path = tmp_path / "traffic.json"
    path.write_bytes(b" " * (5 << 20))
    with pytest.raises(ArgumentError, match="too large"):
        read_traffic(path)


def model(**keys):
    return {"models": {"m": keys}}


@pytest.mark.parametrize(
    ("document", "where", "summary"),
    [
        ([], "$", "not a table"),
        ({"model": {}}, "$.model", "an unknown key"),
        ({"models": []}, "$.models", "not a table"),
        ({"models": {"m": 1}}, "$.models.m", "not a table"),
        (model(weight={}), "$.models.m.weight", "an unknown key"),
        (model(weights={"a": "1"}), "$.models.m.weights.a", "not a number"),
        (model(weights={"a": True}), "$.models.m.weights.a", "not a number"),
        (model(weights={"a": -1}), "$.models.m.weights.a", "out of range"),
        (model(weights={"a": float("nan")}), "$.models.m.weights.a", "out of range"),
        (model(weights={"a": float("inf")}), "$.models.m.weights.a", "out of range"),
        (model(weights={"a": 10**400}), "$.models.m.weights.a", "out of range"),
        (model(weights={"": 1}), "$.models.m.weights", "not a version"),
        (model(weights={str(2**63): 1}), "$.models.m.weights", "not a version"),
        (model(weights={"1": 1, "01": 1}), "$.models.m.weights.01", "a version has two weights"),
        (model(weights={"a": 0, "b": 0}), "$.models.m.weights", "no version has a weight"),
        (model(sticky=1), "$.models.m.sticky", "not the name of a header"),
        (model(sticky=["a", 1]), "$.models.m.sticky", "not the name of a header"),
        (model(sticky="a b"), "$.models.m.sticky", "no header has such a name"),
        (model(shadows={}), "$.models.m.shadows", "not a list"),
        (model(shadows=[1]), "$.models.m.shadows[0]", "not a table"),
        (model(shadows=[{}]), "$.models.m.shadows[0].to", "a version or a label is missing"),
        (model(shadows=[{"to": True}]), "$.models.m.shadows[0].to", "a version or a label is missing"),
        (model(shadows=[{"to": -1}]), "$.models.m.shadows[0].to", "not a version"),
        (model(shadows=[{"to": "a", "fraction": 2}]), "$.models.m.shadows[0].fraction", "out of range"),
        (model(shadows=[{"to": "a", "fraction": "all"}]), "$.models.m.shadows[0].fraction", "not a number"),
        (model(shadows=[{"to": "a", "most_in_flight": 0}]), "$.models.m.shadows[0].most_in_flight", "out of range"),
        (model(shadows=[{"to": "a", "examples": 1.5}]), "$.models.m.shadows[0].examples", "out of range"),
        (model(shadows=[{"to": "a", "part": 1}]), "$.models.m.shadows[0].part", "an unknown key"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(document, where, summary):
    with pytest.raises(ArgumentError) as caught:
        parse_traffic(document, where="traffic.json")
    assert (caught.value.where, caught.value.summary) == (f"traffic.json: {where}", summary)
