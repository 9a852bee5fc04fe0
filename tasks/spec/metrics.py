"""Names of what is measured: `<metric>[_<statistic>]_<unit>`, with direction and scale.

`ttft_p95_ms`, `tpot_mean_ms`, `latency_p99_s`, `output_throughput_tok_s`, `success_rate_percent`.
A name is parsed once; everything downstream works with the parsed form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Direction = Literal["at_most", "at_least"]


@dataclass(frozen=True)
class _Kind:
    direction: Direction
    statistics: bool
    units: dict[str, float]  # unit -> factor from the base unit (s, tok/s, req/s, ratio)


_TIME = {"ms": 1000.0, "s": 1.0}
_SHARE = {"percent": 100.0, "ratio": 1.0}
KINDS: dict[str, _Kind] = {
    "ttft": _Kind("at_most", True, _TIME),
    "tpot": _Kind("at_most", True, _TIME),
    "itl": _Kind("at_most", True, _TIME),
    "latency": _Kind("at_most", True, _TIME),
    "output_throughput": _Kind("at_least", False, {"tok_s": 1.0}),
    "total_throughput": _Kind("at_least", False, {"tok_s": 1.0}),
    "request_throughput": _Kind("at_least", False, {"req_s": 1.0}),
    "success_rate": _Kind("at_least", False, _SHARE),
    "goodput": _Kind("at_least", False, _SHARE),
}
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)\Z")


@dataclass(frozen=True)
class Metric:
    """A parsed metric name.

    kind: a key of KINDS. statistic: 'mean', 'percentile' or '' for figures that have none.
    quantile: 0 < q < 1 for a percentile, else None. unit, factor: value = base value * factor,
    where the base is seconds, tokens per second, requests per second or a ratio.
    """

    name: str
    kind: str
    statistic: str
    quantile: float | None
    unit: str
    factor: float
    direction: Direction


def parse_metric(name: str) -> Metric:
    """Parse a metric name; ValueError says which part is unknown and what exists."""
    kind = next((k for k in sorted(KINDS, key=len, reverse=True) if name.startswith(k + "_")), None)
    if kind is None:
        raise ValueError(f"unknown metric '{name}'; known are {', '.join(sorted(KINDS))}")
    rest = name[len(kind) + 1 :]
    spec = KINDS[kind]
    statistic, quantile = "", None
    if spec.statistics:
        head, _, rest = rest.partition("_")
        match = _PERCENTILE.match(head)
        if head == "mean":
            statistic = "mean"
        elif match and 0 < float(match[1]) < 100:
            statistic, quantile = "percentile", float(match[1]) / 100
        else:
            raise ValueError(
                f"'{name}' has the statistic '{head}'; write {kind}_mean_ms or {kind}_p95_ms"
            )
    if rest not in spec.units:
        units = " or ".join(spec.units)
        raise ValueError(f"'{name}' has the unit '{rest}', which does not exist here; use {units}")
    return Metric(name, kind, statistic, quantile, rest, spec.units[rest], spec.direction)
