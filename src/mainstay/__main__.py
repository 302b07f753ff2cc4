"""`python -m mainstay`: the command line."""

import sys

from mainstay.cli import main

sys.exit(main())
