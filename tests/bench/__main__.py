"""`python -m tests.bench [NAME ...]`: the measurements quoted in the docs."""

from __future__ import annotations

import sys

from tests.bench import calibration, diagnosis, nodes, operating_characteristic, real_engine

BENCHES = {
    "calibration": calibration.main,
    "diagnosis": diagnosis.main,
    "nodes": nodes.main,
    "operating_characteristic": operating_characteristic.main,
    "real_engine": real_engine.main,
}


def main(argv: list[str]) -> int:
    """Run the named benches, or all; 2 for a name that does not exist."""
    unknown = [name for name in argv if name not in BENCHES]
    if unknown:
        print(f"no bench {', '.join(unknown)}; known are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    codes = []
    for name in argv or list(BENCHES):
        print(f"== {name}", flush=True)
        codes.append(BENCHES[name]([]) or 0)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
