"""Convert every case and print, as JSON, what went wrong with it: `run.py FOLDER-OF-TORCH [CASE...]`."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def outcome(check: Callable[[], None]) -> str:
    """Return the traceback of a check that fails, or nothing."""
    try:
        check()
    except Exception:
        return traceback.format_exc(limit=-6)
    return ""


def check_model(make: Callable[[], Any]) -> None:
    """Export a model, convert it, save it, load it, and compare answers for other batches with PyTorch's."""
    import tempfile

    import ml_dtypes
    import numpy as np
    import torch

    from mainstay import saved_model

    torch.manual_seed(1)
    model, example, axes = make()
    exported = torch.export.export(model, example, dynamic_shapes=axes)
    function = saved_model.from_torch(exported, tolerance=2e-2 if example[0].dtype == torch.bfloat16 else 1e-4)
    with tempfile.TemporaryDirectory() as folder:
        saved_model.save(function, f"{folder}/model")
        signature = saved_model.load(f"{folder}/model").signatures["serving_default"]
        for rows in (1, 5):
            given = [torch.cat([item] * rows)[:rows] for item in example]
            expected = model(*given)
            expected = expected if isinstance(expected, dict) else {"output_0": expected}
            arrays = [
                item.float().numpy().astype(ml_dtypes.bfloat16) if item.dtype == torch.bfloat16 else item.numpy()
                for item in given
            ]
            names = [item.spec.name for item in signature.inputs]
            answers = signature(dict(zip(names, arrays, strict=True)))
            assert set(answers) == set(expected), (set(answers), set(expected))
            for name, value in expected.items():
                np.testing.assert_allclose(
                    np.asarray(answers[name], np.float32),
                    value.detach().float().numpy(),
                    rtol=function.tolerance,
                    atol=function.tolerance,
                )


def check_operators(cases: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]) -> None:
    """Export functions of a batch as one program and convert it, which compares all answers."""
    import torch

    from mainstay import saved_model

    inputs = list({id(item): item for _, items in cases.values() for item in items}.values())
    places = {id(item): place for place, item in enumerate(inputs)}

    class Module(torch.nn.Module):
        def forward(self, *given: Any) -> Any:
            return [function(*[given[places[id(item)]] for item in items]) for function, items in cases.values()]

    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(Module(), tuple(inputs), dynamic_shapes=(tuple({0: batch} for _ in inputs),))
    saved_model.from_torch(exported, tolerance=2e-5)


def operator_outcomes(cases: dict[str, Any]) -> dict[str, str]:
    """Return what went wrong with each operator: of all together where nothing did, of halves where something did."""
    problem = outcome(lambda: check_operators(cases))
    if not problem or len(cases) == 1:
        return dict.fromkeys(cases, problem)
    items = list(cases.items())
    half = len(items) // 2
    return {**operator_outcomes(dict(items[:half])), **operator_outcomes(dict(items[half:]))}


def main(place: str, *wanted: str) -> None:
    """Run the cases that are wanted, or all."""
    sys.path.append(place)
    sys.path.insert(0, str(Path(__file__).parent.parent))
    warnings.simplefilter("ignore")
    from torch_programs import models, operators

    whole = {f"model {name}": make for name, make in models.cases().items()}
    single = {f"operator {name}": case for name, case in operators.cases().items()}
    results = {
        name: outcome(lambda make=make: check_model(make))
        for name, make in whole.items()
        if not wanted or name in wanted
    }
    chosen = {name: case for name, case in single.items() if not wanted or name in wanted}
    results |= operator_outcomes(chosen) if chosen else {}
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
