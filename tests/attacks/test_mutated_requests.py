"""Mutated gRPC requests: each is answered once, by a response or by what is wrong with it."""

import fuzz_grpc
import pytest


@pytest.mark.parametrize("seed", [0, 1])
def test_mutated_requests_are_answered_or_refused(seed: int) -> None:
    assert fuzz_grpc.fuzz(seed, count=700) == 700


def test_a_finding_is_told_with_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, method: str, message: bytes) -> None:
        raise KeyError("x")

    monkeypatch.setattr(fuzz_grpc.Fuzzer, "try_one", broken)
    with pytest.raises(fuzz_grpc.FindingError) as caught:
        fuzz_grpc.fuzz(0, count=1)
    assert isinstance(caught.value.args[-1], bytes)
