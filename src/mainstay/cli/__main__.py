"""``python -m mainstay.cli``: the `mainstay` command, for those that start it with an interpreter of their choice."""

import sys

from mainstay.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
