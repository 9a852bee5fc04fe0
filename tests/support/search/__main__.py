"""python -m tests.support.search: a search as large as one likes. --larger: of each beginning the
largest scope that ends on a laptop, in some minutes.

Prints states, depth and every kind of counterexample with a shortest trace; exits 1 where there is
one.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from tests.support.search import begins, rules
from tests.support.search.search import search

NAMED = {"at-hand": rules.AT_HAND, "unmarked": rules.UNMARKED, "all": rules.ALL}

LARGER = [("rest", 2, 1), ("first", 1, 2), ("late", 1, 1)]


def main() -> int:
    known = [item.name for item in fields(rules.Rules)]
    ask = argparse.ArgumentParser(prog="python -m tests.support.search", description=__doc__)
    ask.add_argument("--depth", type=int, default=99, help="steps from the first world")
    ask.add_argument("--trouble", type=int, default=2, help="deaths, hands, breaks and the like")
    ask.add_argument("--starts", type=int, default=2, help="processes")
    ask.add_argument("--most", type=int, default=3_000_000, help="states; no deeper beyond")
    ask.add_argument("--rules", choices=NAMED, default="at-hand")
    ask.add_argument("--toggle", nargs="*", default=[], choices=known, help="switches to turn")
    ask.add_argument("--begin", choices=["rest", "first", "left", "late"], default="rest")
    ask.add_argument("--no-consent", action="store_true", help="no interruption is allowed")
    ask.add_argument("--quiet", action="store_true", help="no traces")
    ask.add_argument("--larger", action="store_true", help="several beginnings")
    args = ask.parse_args()
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


if __name__ == "__main__":
    sys.exit(main())
