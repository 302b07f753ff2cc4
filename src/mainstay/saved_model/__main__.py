"""``python -m mainstay.saved_model PATH`` verifies a saved model and prints what was checked."""

from __future__ import annotations

import argparse
import json
import sys

from mainstay.core import MainstayError
from mainstay.saved_model.verification import answer_json, verify


def main() -> int:
    """Run the command and return its exit status: 0 for a sound artifact, 1 for one that is refused."""
    parser = argparse.ArgumentParser(prog="python -m mainstay.saved_model", description=__doc__)
    parser.add_argument("path", help="the folder of the saved model")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    arguments = parser.parse_args()
    if arguments.json:
        answer, sound = answer_json(arguments.path)
        sys.stdout.write(json.dumps(answer) + "\n")
        return 0 if sound else 1
    try:
        report = verify(arguments.path)
    except MainstayError as error:
        sys.stderr.write(f"{error.code} {error}\n")
        return 1
    for name, text in report.facts().items():
        sys.stdout.write(f"{name}: {text}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
