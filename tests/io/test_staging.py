"""Host functions tell a stage of their calls, and work at once where there is none."""

from collections.abc import Mapping
from typing import Any

from mainstay.io import HostFunction, current_stage, host_function, staged_calls


@host_function(many=lambda column, step: [value + step for value in column])
def add(value: int, step: int) -> int:
    """Add."""
    return value + step


class Noted:
    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def call(self, function: HostFunction, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        self.calls.append((function.name, args, dict(kwargs)))
        assert function.many is not None
        return function.many([10, 20], *args[1:], **kwargs)


def test_a_call_is_made_at_once_without_a_stage() -> None:
    assert add(1, step=2) == 3
    assert add.__name__ == "add"


def test_a_call_goes_to_the_stage_until_it_is_left() -> None:
    stage = Noted()
    with staged_calls(stage):
        assert current_stage() is stage
        assert add(1, step=2) == [12, 22]
        with staged_calls(None):
            assert add(1, 2) == 3
    assert current_stage() is None
    assert stage.calls == [("add", (1,), {"step": 2})]
    assert add(1, 2) == 3
