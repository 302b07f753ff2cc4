"""Fuzz what reads saved models: mutated SavedModels, weights, manifests, golden requests and host stages.

    python tools/fuzz_models.py --seconds 20        # fails on any finding
    python tools/fuzz_models.py --seconds 300 --seed 7

A reader may refuse with a `MainstayError` or answer; anything else is a finding: another exception, a crash, too
much memory or time for one input. Findings are kept in `.fuzz/`. Programs (StableHLO) are not mutated: MLIR does not
withstand that, which is why models of strangers are verified in a process of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ["MAINSTAY_COMPILATION_CACHE"] = "off"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import golden_artifact
import model_seeds
import numpy as np
from message_mutation import mutate_bytes, mutate_message

from mainstay.core import MainstayError
from mainstay.saved_model import load
from mainstay.saved_model.column_archive import read_npz
from mainstay.saved_model.graph_reading.host_stage import HostStage
from mainstay.saved_model.manifest_reading import read_manifest

ROOT = Path(__file__).resolve().parent.parent
FINDINGS = ROOT / ".fuzz"
INDEX = "variables/variables.index"

_MEMORY = 12 << 30
_ALARM = 30

Write = Callable[[str, bytes], None]
"""Keeps an input under a name, so that it is there if the process dies over it."""

Trial = Callable[[random.Random, Write], None]
"""Tries one mutated input."""


class TooSlowError(BaseException):
    """One input took too long."""


def _alarm(*_: object) -> None:
    raise TooSlowError


def _trials(folder: Path) -> Mapping[str, Trial]:
    """Return what is tried, by name."""
    found: dict[str, Trial] = {}
    for name, write in model_seeds.FOREIGN.items():
        found[name] = _foreign(write(folder / name), folder / "tried")
    golden_artifact.write(folder / "artifact")
    extra = folder / "artifact" / "assets.extra" / "mainstay"
    found["manifest"] = _manifest((extra / "manifest.json").read_bytes())
    found["golden"] = _bytes((extra / "golden.npz").read_bytes(), read_npz)
    found["stage"] = _stage()
    return found


def _foreign(seed: Path, place: Path) -> Trial:
    message = model_seeds.read_model(seed)
    files = {str(path.relative_to(seed)): path.read_bytes() for path in seed.rglob("*") if path.is_file()}

    def trial(chance: random.Random, write: Write) -> None:
        changed = dict(files)
        if chance.random() < 0.85 or INDEX not in files:
            copy = mutate_message(message, chance, changes=chance.choice((1, 1, 1, 2, 3)))
            data = copy.SerializeToString()
            changed["saved_model.pb"] = mutate_bytes(data, chance) if chance.random() < 0.1 else data
        else:
            changed[INDEX] = _resealed(files[INDEX], chance)
        shutil.rmtree(place, ignore_errors=True)
        for name, content in changed.items():
            write(name, content)
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        model: Any = load(place)
        if chance.random() < 0.4:
            for signature in model.signatures.values():
                signature.run(signature.blank(2))

    return trial


def _resealed(index: bytes, chance: random.Random) -> bytes:
    """Return a mutated index whose checksums are right again, or one whose entries were mutated."""
    from mainstay.core import message_class
    from mainstay.saved_model.tables import decode_table, encode_table

    table = decode_table(index)
    key = chance.choice(sorted(table))
    kind = "tensorflow.BundleEntryProto" if key else "tensorflow.BundleHeaderProto"
    if chance.random() < 0.2:
        return mutate_bytes(index, chance)
    message = message_class(kind).FromString(table[key])
    table[key] = mutate_message(message, chance, changes=chance.choice((1, 2))).SerializeToString()
    return encode_table(sorted(table.items()))


def _manifest(data: bytes) -> Trial:
    value = json.loads(data)

    def trial(chance: random.Random, write: Write) -> None:
        text = json.dumps(_mutated(value, chance)).encode()
        write("manifest.json", text)
        read_manifest(text)

    return trial


_JSON: tuple[Any, ...] = (None, True, 0, -1, 1, 2**62, 1e300, "", "x", "../x", "batch", [], {}, [2**62], ["batch", -1])


def _mutated(value: Any, chance: random.Random) -> Any:
    """Return a copy of a JSON value with something in it changed."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.1:
        return chance.choice(_JSON)
    if isinstance(value, list):
        index = chance.randrange(len(value))
        return [*value[:index], _mutated(value[index], chance), *value[index + 1 :]]
    key = chance.choice(sorted(value))
    if chance.random() < 0.05:
        return {name: each for name, each in value.items() if name != key}
    return {**value, key: _mutated(value[key], chance)}


def _bytes(data: bytes, read: Callable[[bytes], Any]) -> Trial:
    def trial(chance: random.Random, write: Write) -> None:
        changed = mutate_bytes(data, chance)
        write("data", changed)
        read(changed)

    return trial


def _stage() -> Trial:
    message = model_seeds.host_stage()
    words = np.array([b"a", b"c"], object)

    def trial(chance: random.Random, write: Write) -> None:
        data = mutate_message(message, chance, changes=chance.choice((1, 1, 2))).SerializeToString()
        write("stage.graph.pb", data)
        HostStage(data, {}).run({"x": words})

    return trial


def _work(seconds: float, seed: int, only: str | None) -> int:
    """Try mutated inputs for a while; return how many findings there were."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGALRM, _alarm)
    findings: dict[str, int] = {}
    counts: dict[str, int] = {}
    refused = 0
    with tempfile.TemporaryDirectory() as made:
        trials = {name: trial for name, trial in _trials(Path(made)).items() if only in (None, name)}
        ends = time.monotonic() + seconds
        number = 0
        while time.monotonic() < ends:
            name = sorted(trials)[number % len(trials)]
            last = FINDINGS / "last"
            shutil.rmtree(last, ignore_errors=True)

            def write(file: str, content: bytes, last: Path = last) -> None:
                (last / file).parent.mkdir(parents=True, exist_ok=True)
                (last / file).write_bytes(content)

            counts[name] = counts.get(name, 0) + 1
            signal.alarm(_ALARM)
            try:
                trials[name](random.Random(f"{seed}/{number}"), write)
            except MainstayError:
                refused += 1
            except BaseException as error:  # a finding is whatever is no refusal
                _keep(error, name, number, findings)
            finally:
                signal.alarm(0)
            number += 1
    shutil.rmtree(FINDINGS / "last", ignore_errors=True)
    each = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    sys.stdout.write(f"{sum(counts.values()):,} inputs, {refused:,} refused ({each}); {len(findings)} findings\n")
    return len(findings)


def _keep(error: BaseException, name: str, number: int, findings: dict[str, int]) -> None:
    """Keep the input of a finding, one for each place in the code."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "mainstay" in each.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    key = f"{type(error).__name__} at {where}"
    findings[key] = findings.get(key, 0) + 1
    if findings[key] == 1:
        target = FINDINGS / f"finding-{name}-{number}"
        shutil.rmtree(target, ignore_errors=True)
        if (FINDINGS / "last").exists():
            shutil.copytree(FINDINGS / "last", target)
        text = "".join(traceback.format_exception(error))[-3000:]
        sys.stdout.write(f"\n{key} ({target.name})\n{text}\n")


def main() -> int:
    """Fuzz in a process of its own, which may crash; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="how long (30)")
    parser.add_argument("--seed", type=int, default=1, help="where the mutations start (1)")
    parser.add_argument("--only", help="one of the seeds, such as numbers")
    parser.add_argument("--here", action="store_true", help="in this process")
    options = parser.parse_args()
    if options.here:
        return 1 if _work(options.seconds, options.seed, options.only) else 0
    shutil.rmtree(FINDINGS, ignore_errors=True)
    FINDINGS.mkdir()
    done = subprocess.run([sys.executable, __file__, "--here", *sys.argv[1:]], check=False)
    if done.returncode < 0:
        sys.stdout.write(f"the process died of signal {-done.returncode} over {FINDINGS / 'last'}\n")
    if done.returncode == 0:
        shutil.rmtree(FINDINGS)
    return 0 if done.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
