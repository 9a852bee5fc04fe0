"""python -m tests.support.search: a search as large as one likes. --table: every scope of the table
in docs/architecture.md, in some minutes, and the table. --larger: its three largest that end.

Prints states, depth and every kind of counterexample with a shortest trace; exits 1 where there is
one.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from tests.support.search import begins, rules, table
from tests.support.search.search import search

NAMED = {"at-hand": rules.AT_HAND, "unmarked": rules.UNMARKED, "all": rules.ALL}

LARGER = [(s.begin, s.trouble, s.starts) for s in table.LARGE if s.most > 1_000_000]


def main() -> int:
    known = [item.name for item in fields(rules.Rules)]
    ask = argparse.ArgumentParser(prog="python -m tests.support.search", description=__doc__)
    ask.add_argument("--depth", type=int, default=199, help="steps from the first world")
    ask.add_argument("--trouble", type=int, default=2, help="deaths, hands, breaks and the like")
    ask.add_argument("--starts", type=int, default=2, help="processes")
    ask.add_argument("--most", type=int, default=3_000_000, help="states; no deeper beyond")
    ask.add_argument("--rules", choices=NAMED, default="at-hand")
    ask.add_argument("--toggle", nargs="*", default=[], choices=known, help="switches to turn")
    ask.add_argument("--begin", choices=["rest", "first", "left", "late", "kept"], default="rest")
    ask.add_argument("--no-consent", action="store_true", help="no interruption is allowed")
    ask.add_argument("--quiet", action="store_true", help="no traces")
    ask.add_argument("--larger", action="store_true", help="several beginnings")
    ask.add_argument("--table", action="store_true", help="the table of docs/architecture.md")
    args = ask.parse_args()
    if args.table:
        return tabled()
    scopes = LARGER if args.larger else [(args.begin, args.trouble, args.starts)]
    wrong = False
    for begin, trouble, starts in scopes:
        found = search(
            getattr(begins, begin)(trouble, starts),
            rules=rules.toggled(NAMED[args.rules], *args.toggle),
            consent=not args.no_consent,
            depth=args.depth,
            most=args.most,
        )
        print(f"{begin}, trouble {trouble}, starts {starts}: {found}", flush=True)
        wrong = wrong or bool(found.wrong)
        for what, trace in sorted(found.wrong.items()):
            print(f"\n{what}")
            if not args.quiet:
                print(*(f"  {number:2}. {line}" for number, line in enumerate(trace)), sep="\n")
    return 1 if wrong else 0


def tabled() -> int:
    """Print the table, and under it what is wrong."""
    print(table.HEAD, flush=True)
    wrong: dict[str, list[str]] = {}
    for row, found in table.table((*table.SMALL, *table.LARGE)):
        print(row, flush=True)
        wrong |= found.wrong
    print(f"\n{len(wrong)} kinds of counterexample")
    for what, trace in sorted(wrong.items()):
        print(
            f"\n{what}", *(f"  {number:2}. {line}" for number, line in enumerate(trace)), sep="\n"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
