import json
import re

import pytest

from mainstay.core import TensorSpec
from tests.serving.rest.imported import half_plus


def refs(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from refs(item)


def check_schema(schema):
    """Check the shape of a JSON schema, as far as these documents use it."""
    if schema == {} or schema is False:
        return
    assert {"$ref", "type", "anyOf", "oneOf", "const", "enum"} & set(schema), schema
    for choice in ("anyOf", "oneOf"):
        for part in schema.get(choice, []):
            check_schema(part)
    if "properties" in schema:
        assert set(schema.get("required", [])) <= set(schema["properties"])
        for part in schema["properties"].values():
            check_schema(part)
    for part in (schema.get("items", {}), schema.get("additionalProperties", {}), *schema.get("prefixItems", [])):
        check_schema(part)


def check_document(document):
    """Check what OpenAPI 3.1 asks of a document: the keys, the references, the names of components."""
    assert document["openapi"] == "3.1.0"
    assert set(document["info"]) >= {"title", "version"}
    operations = set()
    for path, item in document["paths"].items():
        assert path.startswith("/")
        for method, operation in item.items():
            assert method in ("get", "post")
            assert operation["operationId"] not in operations
            operations.add(operation["operationId"])
            for code, response in operation["responses"].items():
                assert re.fullmatch("[1-5][0-9][0-9]", code)
                assert response["description"]
                for media in response["content"].values():
                    check_schema(media["schema"])
            if method == "post":
                check_schema(operation["requestBody"]["content"]["application/json"]["schema"])
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)
        check_schema(schema)
    for ref in refs(document):
        assert ref.removeprefix("#/components/schemas/") in schemas


@pytest.fixture
def served(start, fakes):
    inputs = [
        fakes.input("image", "uint8", 2, None),
        fakes.input("company", "string", optional=True),
        fakes.input("flag", "bool"),
    ]
    outputs = [TensorSpec([None, 3], "float32", "score"), TensorSpec([None], "string", "name_bytes")]
    models = {
        "m": fakes.Model(
            serving_default=fakes.Signature(inputs, outputs, lambda columns: {}),
            only_x=fakes.Signature([fakes.input("x")]),
        ),
        "half": half_plus(2),
    }
    return start(models)


def read(server, path):
    status, body, headers = server.request("GET", path)
    assert (status, headers["content-type"]) == (200, "application/json")
    return json.loads(body)


@pytest.mark.parametrize("name", ["m", "half"])
def test_every_model_has_a_document_that_is_one(served, name):
    document = read(served, f"/v1/models/{name}/openapi.json")
    check_document(document)
    assert document["info"]["title"] == name
    assert read(served, f"/v1/models/{name}/versions/1/openapi.json") == document


def test_the_inputs_are_described_in_both_formats(served):
    schemas = read(served, "/v1/models/m/openapi.json")["components"]["schemas"]
    rows, columns = schemas["serving_default.request"]["oneOf"]
    row = rows["properties"]["instances"]["items"]
    assert row["required"] == ["image", "flag"]
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    image = {"type": "array", "items": {"type": "array", "items": pixel}, "minItems": 2, "maxItems": 2}
    assert row["properties"]["image"] == image
    assert row["properties"]["flag"] == {"type": "boolean"}
    assert {"type": "null"} in row["properties"]["company"]["anyOf"]
    assert columns["properties"]["inputs"]["properties"]["image"] == {"type": "array", "items": image}
    assert columns["required"] == ["inputs"]
    assert schemas["only_x.request"]["oneOf"][0]["required"] == ["signature_name", "instances"]


def test_the_outputs_are_described_as_they_are_written(served):
    schemas = read(served, "/v1/models/m/openapi.json")["components"]["schemas"]
    rows, _ = schemas["serving_default.response"]["oneOf"]
    row = rows["properties"]["predictions"]["items"]["properties"]
    assert row["name_bytes"] == {"$ref": "#/components/schemas/Bytes"}
    assert row["score"]["maxItems"] == 3
    rows, _ = schemas["only_x.response"]["oneOf"]
    assert rows["properties"]["predictions"]["items"] == {"type": "number", "format": "float"}


def test_classify_and_regress_are_there_where_a_signature_is_for_them(served):
    paths = read(served, "/v1/models/half/openapi.json")["paths"]
    assert {"/v1/models/half:classify", "/v1/models/half:regress", "/v1/models/half:predict"} <= set(paths)
    assert "/v1/models/m:classify" not in read(served, "/v1/models/m/openapi.json")["paths"]


def test_an_unknown_model_has_no_document(served):
    assert served.request("GET", "/v1/models/none/openapi.json")[0] == 404


def test_the_formats_beside_json_are_named(served):
    predict = read(served, "/v1/models/m/openapi.json")["paths"]["/v1/models/m:predict"]["post"]
    formats = {
        "application/json",
        "application/x-npy",
        "application/x-npz",
        "application/x-protobuf",
        "application/vnd.apache.arrow.stream",
    }
    assert set(predict["requestBody"]["content"]) == set(predict["responses"]["200"]["content"]) == formats
    assert predict["parameters"][0]["schema"] == {"enum": ["serving_default", "only_x"]}
