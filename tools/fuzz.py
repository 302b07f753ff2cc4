"""Fuzz the C library: every `tests/fuzz/fuzz_*.c` runs for a number of seconds under the sanitizers of Clang.

    python tools/fuzz.py --seconds 30         # each of them; fails on any finding
    python tools/fuzz.py --only examples      # one of them

Starts from a corpus that this script makes, guided by coverage, with a fixed seed. A finding is kept in `.fuzz/`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from example_wires import entry, example, feature, record, sized, varint

from mainstay.io import frame_record

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "src" / "mainstay" / "core" / "native"
TARGETS = ROOT / "tests" / "fuzz"
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
COVERAGE = ["-fprofile-instr-generate", "-fcoverage-mapping"]


def example_seeds() -> Iterator[bytes]:
    """Yield inputs of `fuzz_examples`: a byte for the number of records, and the records."""
    nameless = entry(b"", feature(3, [1, -1, 300]))
    every = example(nameless) + record(a=(3, [7]), b=(2, [1.5, 2.5]), floats=(2, [0.5] * 9))
    every += record(a_name_of_23_characters=(3, [1 << 40]))
    strings = record(s=(1, [b"one"]), strings=(1, [b"", b"two", b"x" * 200]))
    packed_not = example(
        entry(
            b"", sized(3, varint(8) + varint(5) + sized(1, varint(1 << 63)) + varint(8, longer=1) + varint(9, longer=3))
        ),
        entry(b"floats", sized(2, varint(13) + b"\0\0\x80?" + sized(1, b"\0\0\0@"))),
        entry(b"b", sized(2, b"") + sized(3, b"") + feature(2, [1.0, 2.0])),
    )
    odd = [
        sized(1, sized(1, sized(2, feature(3, [1])) + sized(1, b"a") + sized(2, feature(3, [2])))),
        example(entry(b"a", feature(3, [1])), entry(b"a", b""), entry(b"strings", b"")),
        varint(9 << 3 | 3)
        + varint(2 << 3 | 1)
        + bytes(8)
        + sized(3, b"x")
        + varint(4 << 3 | 5)
        + bytes(4)
        + varint(9 << 3 | 4),
        example(entry(b"a", feature(2, [1.0]))),
        example(entry(b"b", feature(2, [1.0]))),
        b"",
    ]
    for records in ([every], [strings], [packed_not], *([one] for one in odd), [every, every], [strings] * 3):
        for rooms in (0, 192):
            yield bytes([rooms + (len(records) - 1 - rooms) % 3]) + b"".join(records)


def record_seeds() -> Iterator[bytes]:
    """Yield inputs of `fuzz_records`: files, whole, cut and damaged."""
    whole = b"".join(map(frame_record, [b"", b"abc", bytes(range(60))]))
    yield from (b"", whole, whole[:-1], whole[:20], whole * 6)
    for place in (0, 9, 13, 40):
        yield whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    yield (12).to_bytes(8, "little") + (3).to_bytes(8, "little") + bytes(16)


def jpeg_seeds() -> Iterator[bytes]:
    """Yield inputs of `fuzz_jpeg`: seven bytes that choose, and a file of each sampling, whole, cut and damaged."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (19, 37, 3), np.uint8)
    smooth = np.add.outer(np.arange(19, dtype=np.uint8) * 5, np.arange(37, dtype=np.uint8) * 3)
    for number, picture in enumerate((noise[:9, :17], np.stack([smooth, smooth[::-1], smooth // 2], -1), smooth)):
        for sampling in ("4:4:4", "4:2:2", "4:2:0"):
            for interval in (0, 1, 2):
                file = io.BytesIO()
                options = {"quality": 30 + 30 * interval, "subsampling": sampling, "restart_marker_blocks": interval}
                Image.fromarray(picture).save(file, "JPEG", **options)
                whole = bytes([3 - number, 2, 3, 7, 1 + interval, 9, 1]) + file.getvalue()
                yield from (whole, whole[:-2], whole[: len(whole) // 2])


def json_seeds() -> Iterator[bytes]:
    """Yield inputs of `fuzz_json`: a byte that chooses the dtypes, and the body of a prediction."""
    bodies = [
        b'{"instances":[[1,2.5],[-3e2,0.1234567890123456]]}',
        b'{"signature_name":"s","instances":[{"x":[1,2],"y":true},{"y":false,"x":[3,4]}]}',
        b'{ "inputs" : { "x" : [ [1, 2], [3, 4] ] , "y" : [ 1, 0 ] } , "signature_name" : "other" }\n',
        b'{"inputs":[NaN,-Infinity,Inf,1e-400,12345678901234567890123.5,1.7976931348623157e308,1e23,8.5e-70]}',
        b'{"inputs":[[[255,0,128],[18446744073709551615,-9223372036854775808,-0]]]}',
    ]
    for body in bodies:
        for choice in (0x00, 0x16, 0x95, 0x4A, 0xA9, 0x9A):
            yield bytes([choice]) + body
        yield bytes([0x99]) + body[: len(body) // 2]


SEEDS = {"examples": example_seeds, "jpeg": jpeg_seeds, "json": json_seeds, "records": record_seeds}


def build(target: Path, folder: Path) -> Path:
    """Compile a target with the C library under the sanitizers."""
    program = folder / target.stem
    sources = [str(path) for path in sorted(NATIVE.glob("*.c"))]
    flags = ["-g", "-O1", "-std=gnu11", "-Wall", "-Wextra", "-ffp-contract=off", *SANITIZERS, *COVERAGE]
    subprocess.run(["clang", *flags, f"-I{NATIVE}", str(target), *sources, "-lm", "-o", str(program)], check=True)
    return program


def fuzz(target: Path, folder: Path, seconds: int) -> bool:
    """Run a target; print what it did and return whether it found nothing."""
    name = target.stem.removeprefix("fuzz_")
    program = build(target, folder)
    corpus = folder / f"corpus-{name}"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS.get(name, lambda: iter([b""]))()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    profile = folder / f"{name}.profraw"
    options = [f"-max_total_time={seconds}", "-seed=1", "-max_len=2048", "-timeout=10", "-rss_limit_mb=2048"]
    options += ["-print_final_stats=1", "-use_value_profile=1", f"-artifact_prefix={folder}/finding-{name}-"]
    started = time.monotonic()
    done = subprocess.run(
        [str(program), str(corpus), *options],
        env={**os.environ, "LLVM_PROFILE_FILE": str(profile), "UBSAN_OPTIONS": "print_stacktrace=1"},
        capture_output=True,
        text=True,
    )
    units = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    executions = int(units[1]) if units else 0
    sys.stdout.write(f"{name}: {executions:,} executions in {time.monotonic() - started:.0f} s")
    if done.returncode or not executions:
        sys.stdout.write(f"\n{done.stderr[-6000:]}\nfound something: see {folder}\n")
        return False
    sys.stdout.write(f", {len(list(corpus.iterdir())):,} inputs kept; {covered(program, profile)}\n")
    return True


def covered(program: Path, profile: Path) -> str:
    """Return in words how much of the C files that the target is about was run."""
    data = profile.with_suffix(".profdata")
    subprocess.run(["llvm-profdata", "merge", "-sparse", str(profile), "-o", str(data)], check=True)
    report = subprocess.run(
        ["llvm-cov", "export", "-summary-only", str(program), f"-instr-profile={data}"],
        check=True,
        capture_output=True,
        text=True,
    )
    parts = []
    for file in json.loads(report.stdout)["data"][0]["files"]:
        path = Path(file["filename"])
        lines = file["summary"]["lines"]
        if path.parent.name == "native" and path.suffix == ".c" and lines["covered"]:
            parts.append(f"{path.name} {lines['percent']:.1f} % of {lines['count']} lines")
    return "covered: " + ", ".join(parts)


def main() -> int:
    """Run the targets one after the other; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=30, help="for each target (30)")
    parser.add_argument("--only", help="the name of one target, such as examples")
    options = parser.parse_args()
    folder = ROOT / ".fuzz"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    targets = [path for path in sorted(TARGETS.glob("fuzz_*.c")) if options.only in (None, path.stem[5:])]
    if not targets:
        sys.exit(f"there is no target {options.only}")
    fine = [fuzz(target, folder, options.seconds) for target in targets]
    if all(fine):
        shutil.rmtree(folder)
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
