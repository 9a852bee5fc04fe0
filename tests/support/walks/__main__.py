"""python -m tests.support.walks --walks 5000 --seed 1: random walks through the search's world.

Prints how many cases there were and the worst number of moves to a settled state; exits 1 where
one ends badly. --only N: that walk again.
"""

from __future__ import annotations

import argparse
import sys

from tests.support.walks.walk import walks


def main() -> int:
    ask = argparse.ArgumentParser(prog="python -m tests.support.walks", description=__doc__)
    ask.add_argument("--walks", type=int, default=5000)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--only", type=int, help="this walk alone")
    args = ask.parse_args()
    only = args.only
    found = walks(range(args.walks) if only is None else range(only, only + 1), args.seed)
    print(f"seed {args.seed}: {found}")
    for number, trace in found.wrong.items():
        print(f"\nwalk {number}: {trace[-1]}")
        if only is not None or len(found.wrong) < 4:
            print(*(f"  {n:3}. {line}" for n, line in enumerate(trace)), sep="\n")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
