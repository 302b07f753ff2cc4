"""Questions over REST by requests and httpx; it prints what is wrong, and nothing where all is as it should be."""

import gzip
import json
import sys

import httpx
import requests


def ask(session, base):
    """Ask everything through one client, whose connection is kept."""
    answer = session.post(f"{base}:predict", json={"instances": [1.0, 2.0, 5.0]})
    assert (answer.status_code, answer.json()) == (200, {"predictions": [2.5, 3.0, 4.5]}), answer.text
    assert answer.headers["Content-Type"] == "application/json"
    answer = session.post(f"{base}:predict", json={"inputs": {"x": [[1.0], [2.0]]}})
    assert answer.json() == {"outputs": [[2.5], [3.0]]}, answer.text
    examples = {"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}
    answer = session.post(f"{base}:regress", json=examples)
    assert answer.json() == {"results": [2.5, 3.0]}, answer.text
    body = gzip.compress(json.dumps({"instances": [4.0] * 1000}).encode())
    answer = session.post(f"{base}:predict", body, headers={"Content-Encoding": "gzip"})
    assert answer.json() == {"predictions": [4.0] * 1000}, answer.text
    answer = session.post(f"{base}:predict", json={"instances": ["x"]})
    assert answer.status_code == 400, answer.text
    assert "is not of expected type: float" in answer.json()["error"]
    answer = session.get(base)
    assert answer.json()["model_version_status"][0]["state"] == "AVAILABLE"
    answer = session.get(f"{base}/metadata")
    assert answer.json()["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["x"]
    assert session.head(base).status_code == 200
    assert session.post(f"{base}x:predict", json={}).status_code == 404


class Httpx(httpx.Client):
    """Takes bytes by position, as requests does."""

    def post(self, url, content=None, **more):
        return super().post(url, content=content, **more)


def content_of(body):
    yield from (body[start : start + 100] for start in range(0, len(body), 100))


if __name__ == "__main__":
    address = sys.argv[1]
    with requests.Session() as session:
        session.trust_env = False
        ask(session, address)
        answer = session.post(f"{address}:predict", content_of(b'{"instances": [1.0]}' + b" " * 1000))
        assert answer.json() == {"predictions": [2.5]}, answer.text
    with Httpx(trust_env=False) as client:
        ask(client, address)
