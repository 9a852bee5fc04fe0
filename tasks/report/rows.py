"""Rounds as bytes and back, so that a report can be drawn again from its folder.

One gzip-compressed JSON document: `{"schema": 1, "rounds": [{..., "rows": [[start, end, ttft, itl,
prompt_tokens, completion_tokens, ok, error], ...]}, ...]}`. Times are kept to the last bit: a
verdict computed again must be the same verdict.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from pydantic import TypeAdapter

from tasks.base.errors import SpecError
from tasks.measure.round import RequestRow, Round

FILE = "rounds.json.gz"
SCHEMA = 1
MOST_ROUNDS = 100_000
_ROW = [field.name for field in fields(RequestRow)]
_ROUND = TypeAdapter(Round)


def dump(rounds: Sequence[Round]) -> bytes:
    """The rounds as bytes; the same rounds give the same bytes."""
    body = {"schema": SCHEMA, "rounds": [_round(item) for item in rounds]}
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    return gzip.compress(text.encode("ascii"), compresslevel=6, mtime=0)


def load(data: bytes) -> tuple[Round, ...]:
    """The rounds of `dump`. Raises SpecError when the bytes are something else."""
    try:
        body = json.loads(gzip.decompress(data))
        if body["schema"] != SCHEMA:
            raise SpecError(
                [f"rounds: schema {body['schema']} found, {SCHEMA} expected; use the same release"]
            )
        return tuple(_as_round(item) for item in body["rounds"])
    except SpecError:
        raise
    except (OSError, EOFError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise SpecError(
            [f"rounds: not the measured rows of a rollout ({type(error).__name__}: {error})"]
        ) from error


def _round(item: Round) -> dict[str, Any]:
    return {
        "index": item.index,
        "load": item.load,
        "release": item.release,
        "seed": item.seed,
        "window": item.window,
        "client": asdict(item.client),
        "server": asdict(item.server),
        "problems": item.problems,
        "rows": [[getattr(row, name) for name in _ROW] for row in item.rows],
    }


def _as_round(data: dict[str, Any]) -> Round:
    rows = [dict(zip(_ROW, row, strict=True)) for row in data["rows"]]
    found = _ROUND.validate_python({**data, "rows": rows})
    if not 0 <= found.index < MOST_ROUNDS:
        raise ValueError(f"index {data['index']}")
    return found
