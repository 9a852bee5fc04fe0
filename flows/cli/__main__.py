"""`python -m flows.cli`: the `rollout` command."""

import sys

from flows.cli.main import main

sys.exit(main())
