"""Where things lie in the repository."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"  # recorded documents
GOLDEN = ROOT / "tests" / "golden"


# the oldest release still patched, and the newest whose schemas are on this machine
VERSIONS = ("1.33", kubernetes_validate.latest_version().rpartition(".")[0])
