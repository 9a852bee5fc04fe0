"""Compile the pinned requirement files from their sources, or check that they are fresh.

The files carry versions and hashes and no address of any index, so that every site can
install them from its own mirror.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from try_server import try_set

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
COMMON = (
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--no-annotate",
    "--python-version=3.11",
    "--quiet",
)
# pinned file -> arguments that produce it
SETS: dict[str, tuple[str, ...]] = {
    "uv.txt": ("requirements/uv.in", "--universal"),
    "run.txt": ("pyproject.toml", "--universal"),
    "kubernetes-worker.txt": (
        "requirements/kubernetes-worker.in",
        "--universal",
        "--constraint=requirements/run.txt",
    ),
    "dev.txt": (
        "pyproject.toml",
        "--group=dev",
        "--universal",
        "--constraint=requirements/run.txt",
        "--constraint=requirements/kubernetes-worker.txt",  # the worker tested is the image's
    ),
    "sbom.txt": ("requirements/sbom.in", "--universal"),
    "engine.txt": (
        "requirements/engine.in",
        "--override=requirements/engine-overrides.txt",
        "--python-platform=x86_64-manylinux_2_28",
    ),
    "docs.txt": ("requirements/docs.in", "--universal"),
}


def compile_set(name: str, out: Path, *, upgrade: bool) -> None:
    """Write one pinned file to `out`; pins already in it are kept unless `upgrade`."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    command = [uv, "pip", "compile", *SETS[name], *COMMON, f"--output-file={out}"]
    if upgrade:
        command.append("--upgrade")
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def check() -> int:
    """Recompile each file beside the committed one; 1 when any differs."""
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            fresh = Path(folder) / name
            shutil.copyfile(HERE / name, fresh)
            compile_set(name, fresh, upgrade=False)
            if fresh.read_text() != (HERE / name).read_text():
                stale.append(name)
    for name in stale:
        print(
            f"requirements/{name} no longer follows from its source: run make lock", file=sys.stderr
        )
    return 1 if stale else 0


def serves() -> bool:
    """Whether the Prefect server of the newest versions does its work; says what it does not."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "run.txt"
        shutil.copyfile(HERE / "run.txt", fresh)
        compile_set("run.txt", fresh, upgrade=True)
        found = try_set(fresh)
    for fault in found:
        print(f"the Prefect server of the new set: {fault}", file=sys.stderr)
    if found:
        print(
            "nothing was replaced: bound what changed in pyproject.toml, with the reason beside it "
            "and a test of that name (tests/unit/project/test_pins.py), then run make lock again",
            file=sys.stderr,
        )
    return not found


def main() -> int:
    """Command line: `--upgrade` renews every pin, `--check` changes nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    parser.add_argument("--check", action="store_true", help="exit 1 when a file is stale")
    args = parser.parse_args()
    if args.check:
        return check()
    if args.upgrade and not serves():
        return 1
    for name in SETS:
        compile_set(name, HERE / name, upgrade=args.upgrade)
    return 0


if __name__ == "__main__":
    sys.exit(main())
