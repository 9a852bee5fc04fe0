"""`python -m deployments.local.hub --root DIR --port 0 --ready FILE`: serve until ended."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from pathlib import Path

from deployments.local.hub import LocalHub


def main() -> None:
    """Serve; the ready file gets {"url": ..., "pid": ...} in one step when the port listens."""
    parser = argparse.ArgumentParser(prog="python -m deployments.local.hub")
    parser.add_argument("--root", type=Path, required=True, help="folder of models")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--ready", type=Path, help="file to write when listening")
    parser.add_argument("--cdn", action="store_true", help="redirect large files to a second port")
    args = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with LocalHub(args.root, port=args.port, cdn=args.cdn) as hub:
        print(f"local hub (a stand-in) at {hub.url}", flush=True)
        if args.ready:
            half = args.ready.with_name(args.ready.name + ".half")
            half.write_text(json.dumps({"url": hub.url, "pid": os.getpid()}))
            half.replace(args.ready)
        ended.wait()


if __name__ == "__main__":
    main()
