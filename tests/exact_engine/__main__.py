"""`python -m tests.exact_engine`: the exact engine in place of vLLM's server, with its flags.

Flags it does not know are ignored, as an image's command line may carry any of vLLM's. Its laws
come from the environment (EXACT_ENGINE, JSON) or from exact_engine.json in the model's folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

import uvloop

from tests.exact_engine.laws import Behaviour, loads
from tests.exact_engine.server import ExactEngine


def parse(argv: list[str]) -> argparse.Namespace:
    """The flags we honour."""
    parser = argparse.ArgumentParser("exact-engine", allow_abbrev=False)
    parser.add_argument("--model")
    parser.add_argument("--served-model-name")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--shutdown-timeout", type=float, default=0.0, help="seconds")
    parser.add_argument("--startup-delay", type=float, default=0.0, help="seconds")
    parser.add_argument("--ready", type=Path, help="file that gets the url once it listens")
    parser.add_argument("--truth", type=Path, help="JSON lines: what really happened")
    return parser.parse_known_args(argv)[0]


def behaviour_of(model: Path | None) -> Behaviour:
    """Laws from the environment, else from the model's folder, else the defaults."""
    if text := os.environ.get("EXACT_ENGINE"):
        return loads(text)
    if model is not None and (file := model / "exact_engine.json").is_file():
        return loads(file.read_text(encoding="utf-8"))
    return Behaviour()


async def serve(args: argparse.Namespace, behaviour: Behaviour, model: str) -> None:
    """Listen until SIGTERM or SIGINT."""
    await asyncio.sleep(args.startup_delay)
    engine = ExactEngine(behaviour, model=model, max_model_len=args.max_model_len, truth=args.truth)
    await engine.serve(args.host, args.port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    url = f"http://{args.host}:{engine.port}"
    print(f"INFO: exact engine serves {engine.model} on {url}", flush=True)
    if args.ready:
        staging = args.ready.with_suffix(".new")
        staging.write_text(url, encoding="utf-8")
        staging.rename(args.ready)
    await stop.wait()
    await engine.drain(args.shutdown_timeout)


def main(argv: list[str] | None = None) -> int:
    """Run; 1 with one line on stderr when the model is not there."""
    args = parse(sys.argv[1:] if argv is None else argv)
    model = Path(args.model) if args.model else None
    if model is not None and not (model / "config.json").is_file():
        print(f"ERROR: {model} has no config.json: no model to serve", file=sys.stderr)
        return 1
    try:
        behaviour = behaviour_of(model)
    except (ValueError, TypeError) as error:
        print(f"ERROR: the engine's laws cannot be read: {error}", file=sys.stderr)
        return 1
    name = args.served_model_name or (model.name if model else "exact")
    uvloop.run(serve(args, behaviour, name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
