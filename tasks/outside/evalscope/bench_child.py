"""The process that runs evalscope perf, driven by bench.

evalscope seeds, logs and handles signals globally and takes about 6 s to import, so it lives in a
process of its own that stays for many rounds. Commands come as JSON lines on stdin, each the path
of a config; events go as JSON lines to what was stdout at the start. End of stdin ends the
process, so that it never outlives its parent.

Corrections to evalscope 1.14.1, each for a reason found in its sources:
- its aiohttp session has trust_env=True, so aiohttp looks proxies up in a worker thread for every
  request after the start time was taken (perf/core/http_client.py; aiohttp/client.py); that hop
  and its queue would count as TTFT, so it is switched off;
- a stream without usage makes it raise and lose the run (perf/plugin/api/openai_api.py); here the
  token counts become 0;
- a stream without any token counts as a success with TTFT 0 (perf/plugin/api/default_api.py), and
  so does one that ends half-way; here both fail;
- its reader of streams knows few spellings, dies of `choices: [null]` and of a payload that is no
  object, and takes several forms of an error for success (perf/plugin/api/default_api.py); here the
  events are read by tasks.measure.stream, as in the smoke test, and handed on in OpenAI's words;
- it pickles every response chunk into the database on the event loop that takes the times
  (perf/utils/db_util.py); here the chunks are dropped once they were read.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import queue
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from tasks.measure.stream import Chunk, Reader, read
from tasks.outside.evalscope.orders import (
    Account,
    Advanced,
    Event,
    LoadOrder,
    Ready,
    RunEnded,
    line_of,
)

SAMPLE_S = 0.01
PROGRESS_S = 0.5
REQUEST_ID = "X-Request-Id"
# Placeholder in a prompt line; evalscope keeps it in the database's request_id column.
REQUEST_ID_KEY = "__evalscope_request_id"
MEASURED = "m"


class Monitor:
    """What one run of evalscope can't say itself: errors, client lag and CPU, progress."""

    def __init__(self, events: TextIO, order: LoadOrder) -> None:
        self.events = events
        self.errors: dict[str, str] = {}
        self.unsent: list[str] = []
        self.lags: list[tuple[float, float]] = []
        self.cpu: list[tuple[float, float]] = []
        self.sent = 0
        self._failures = self._timeouts = 0
        self._break_after = order.break_after
        self._break_after_timeouts = order.break_after_timeouts
        self._ttfts = self._first = self._tokens = 0.0
        self._done = self._answered = 0
        self._told = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sample the running event loop; once per run."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._sample())

    async def _sample(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(SAMPLE_S)
            now = time.perf_counter()
            self.lags.append((now, now - before - SAMPLE_S))
            if len(self.lags) % 10 == 0:
                self.cpu.append((now, time.process_time()))

    @property
    def broken(self) -> bool:
        """Whether the engine failed so often in a row that no more is sent."""
        return self._failures >= self._break_after or self._timeouts >= self._break_after_timeouts

    def settled(self, request_id: str, output: Any) -> None:
        """Take note of one finished request (evalscope's BenchmarkData)."""
        if not output.success:
            lines = (output.error or "").strip().splitlines() or ["failed without a reason"]
            self.errors[request_id] = lines[-1][:300]
            self._failures += 1
            self._timeouts = self._timeouts + 1 if "TimeoutError" in lines[-1] else 0
        else:
            self._failures = self._timeouts = 0
        if not request_id.startswith(MEASURED):
            return
        now = time.perf_counter()
        self._first = self._first or output.start_time
        self._done += 1
        if output.success:
            self._answered += 1
            self._ttfts += output.first_chunk_latency
            self._tokens += output.completion_tokens or 0
        if now - self._told >= PROGRESS_S:
            self._told = now
            figures = {"output_throughput_tok_s": self._tokens / max(1e-9, now - self._first)}
            if self._answered:
                figures["ttft_mean_ms"] = 1000 * self._ttfts / self._answered
            tell(self.events, Advanced(self._done, figures))

    def write(self, folder: Path) -> None:
        """Leave notes and samples beside evalscope's own files."""
        Account(self.errors, self.unsent, self.sent, self.lags, self.cpu).write(folder)


def tell(events: TextIO, event: Event) -> None:
    """One event to the parent."""
    events.write(line_of(event) + "\n")
    events.flush()


def install(current: list[Monitor]) -> None:
    """Put our reading of an answer into evalscope's registry, over its own `openai` plugin."""
    from evalscope.perf.plugin import ApiRegistry
    from evalscope.perf.plugin.api import default_api
    from evalscope.perf.plugin.api.openai_api import OpenaiPlugin
    from evalscope.perf.utils.benchmark_util import BenchmarkData

    class Plugin(OpenaiPlugin):  # type: ignore[misc]
        """evalscope's OpenAI client, stricter about what counts as an answer."""

        def extract_body_meta(
            self, body: dict[str, Any], headers: dict[str, str]
        ) -> tuple[dict[str, str], str | None]:
            headers, request_id = OpenaiPlugin.extract_body_meta(body, headers)
            return {**headers, REQUEST_ID: request_id or ""}, request_id

        async def process_request(
            self, client_session: Any, url: str, headers: dict[str, str], body: dict[str, Any]
        ) -> Any:
            monitor = current[0]
            monitor.start()
            client_session._trust_env = False
            request_id = headers[REQUEST_ID]
            if monitor.broken:
                monitor.unsent.append(request_id)
                now = time.perf_counter()
                return BenchmarkData(start_time=now, completed_time=now, error="not sent")
            monitor.sent += request_id.startswith(MEASURED)
            output = await super().process_request(client_session, url, headers, body)
            judge(output)
            output.response_messages = []
            monitor.settled(request_id, output)
            return output

    default_api.StreamedResponseHandler = Events
    ApiRegistry.register("openai", Plugin)


class Events:
    """In the place of evalscope's StreamedResponseHandler: bytes in, its messages out."""

    def __init__(self) -> None:
        self._reader = Reader()

    def add_chunk(self, chunk_bytes: bytes) -> list[str]:
        """The messages that a piece completes, each "data: " and what evalscope reads."""
        return [f"data: {worded(chunk)}" for chunk in self._reader.feed(chunk_bytes)]


def worded(chunk: Chunk) -> str:
    """An event in OpenAI's words; as it came where it has them already."""
    if chunk.plain or chunk.done:
        return chunk.plain or "[DONE]"
    if chunk.error:
        return json.dumps({"error": {"message": chunk.error}}, ensure_ascii=False)
    delta: dict[str, Any] = {"content": chunk.said, "reasoning": chunk.thought}
    if chunk.called:
        delta["tool_calls"] = [{"function": {"arguments": "..."}}]
    message: dict[str, Any] = {}
    if chunk.output or chunk.finish:
        choice = {"index": 0, "delta": delta, "finish_reason": chunk.finish or None}
        message["choices"] = [choice]
    if chunk.tokens is not None or chunk.prompt_tokens is not None:
        counts = {"prompt_tokens": chunk.prompt_tokens, "completion_tokens": chunk.tokens}
        message["usage"] = counts
    return json.dumps(message, ensure_ascii=False)


def judge(output: Any) -> None:
    """Turn a success of evalscope into a failure where no whole answer came (BenchmarkData)."""
    if not output.success:
        return
    events = [read(message) for message in output.response_messages]
    finished = any(event.finish for event in events if event)
    reason = ""
    if not output.is_stream:
        reason = "answered without streaming, so that TTFT is unknown"
    elif not output.n_decode_chunks:
        reason = "the stream ended without a token"
    elif not finished:
        reason = "the stream ended without a finish reason, half-way"
    if reason:
        output.success, output.error = False, reason
    output.prompt_tokens = output.prompt_tokens or 0
    output.completion_tokens = output.completion_tokens or 0


def run(order: LoadOrder) -> None:
    """One run of evalscope; its files and ours land in the order's out_dir."""
    import numpy as np
    from evalscope.perf.arguments import Arguments
    from evalscope.perf.main import run_one_benchmark

    random.seed(order.seed)
    np.random.seed(order.seed % 2**32)
    rate = order.rate
    load = {"open_loop": True, "rate": rate} if rate else {"parallel": order.concurrency}
    args = Arguments(
        model=order.model,
        url=order.url,
        api="openai",
        api_key=order.api_key,
        dataset="line_by_line",
        dataset_path=order.prompts,
        number=order.number,
        warmup_num=order.warmup,
        no_test_connection=True,
        no_timestamp=True,
        outputs_dir=order.out_dir,
        total_timeout=order.request_timeout_s,
        duration=order.duration_s,
        temperature=order.temperature,
        log_every_n_query=1 << 30,
        db_commit_interval=32,
        num_workers=1,
        **load,
    )
    run_one_benchmark(args, output_path=order.out_dir)


def main() -> int:
    """Serve commands until stdin ends."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # evalscope prints; only events may reach the parent's pipe
    commands: queue.Queue[str] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            commands.put(line.strip())
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    current: list[Monitor] = []
    install(current)
    gc.collect()
    gc.freeze()  # else every full collection walks all that evalscope imported, ~0.1 s a time
    tell(events, Ready())
    while True:
        order = LoadOrder.read(commands.get())
        current[:] = [Monitor(events, order)]
        ended = RunEnded()
        try:
            run(order)
        except Exception as error:
            ended = RunEnded(f"{type(error).__name__}: {error}"[:300])
        finally:
            current[0].write(Path(order.out_dir))
        tell(events, ended)


if __name__ == "__main__":
    sys.exit(main())
