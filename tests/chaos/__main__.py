"""`make chaos ARGS="--seed N"`: kill -9 everywhere, in a cluster in trouble; exit 1 on any breach.

A rollout is killed at every boundary of its steps and at random instants, is recovered as its
operator would, and clients ask all the while. `--only K` takes one round of a strategy again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.chaos.draws import BOUNDARIES, STRATEGIES, Draw, Strategy, draws
from tests.chaos.kills import chaos, prefect
from tests.conftest import hear_signals


def main(argv: list[str] | None = None) -> int:
    """Run; 1 where anything broke that must not."""
    parser = argparse.ArgumentParser("make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=100, help="random instants, each strategy")
    parser.add_argument(
        "--boundaries", type=int, default=len(BOUNDARIES), help="of steps, each strategy"
    )
    parser.add_argument("--strategy", choices=STRATEGIES, help="default: all")
    parser.add_argument("--only", type=int, metavar="K", help="only this round of the strategy")
    parser.add_argument("--lanes", type=int, default=2, help="rollouts at once, each strategy")
    parser.add_argument("--minutes", type=float, default=600, help="no round begins later")
    parser.add_argument("--share", type=float, default=0.2, help="of the API's calls that go wrong")
    parser.add_argument(
        "--whole", action="store_true", help="measure, and tell Prefect, in every round"
    )
    args = parser.parse_args(argv)
    hear_signals()
    # calls that trouble cuts are told by the hundred
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    strategies: list[Strategy] = [args.strategy] if args.strategy else [*STRATEGIES]
    wanted: list[tuple[Strategy, list[list[Draw]]]] = []
    for strategy in strategies:
        found = draws(args.seed, strategy, args.kills, args.boundaries)
        if args.whole:
            found = [replace(draw, whole=True) for draw in found]
        if args.only is not None:
            found = [draw for draw in found if draw.number == args.only]
        lanes = [found[first :: args.lanes] for first in range(args.lanes)]
        wanted.append((strategy, [lane for lane in lanes if lane]))
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"all output is kept below {folder}", flush=True)
    with prefect(folder) as api:
        report = chaos(folder, api, args.seed, wanted, args.share, args.minutes * 60)
    print(report.text())
    print(f"{time.monotonic() - begun:.0f} s; logs: {folder}")
    same = f"--seed {args.seed} --kills {args.kills} --boundaries {args.boundaries}"
    if report.breaches:
        print(f'a round again: make chaos ARGS="{same} --strategy S --only ROUND"')
    return 1 if report.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
