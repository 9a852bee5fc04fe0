"""The exact engine's /metrics, with vLLM's names."""

from __future__ import annotations

from bisect import bisect_left

# The bucket bounds that vLLM uses for its TTFT histogram (vllm/v1/metrics/loggers.py), shortened.
BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)


class Meter:
    """Counters of one engine."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.running = 0
        self.waiting = 0
        self.generation_tokens = 0
        self.prompt_tokens = 0
        self.requests = 0
        self.failed = 0
        self.ttft_sum = 0.0
        self.ttft_counts = [0] * (len(BOUNDS) + 1)

    def token(self, ttft: float | None) -> None:
        """One token went out; `ttft` (s) for a first one."""
        self.generation_tokens += 1
        if ttft is not None:
            self.ttft_sum += ttft
            self.ttft_counts[bisect_left(BOUNDS, ttft)] += 1

    def finished(self, prompt_tokens: int) -> None:
        """One request was answered in full."""
        self.requests += 1
        self.prompt_tokens += prompt_tokens

    def text(self) -> str:
        """The Prometheus text format."""
        label = f'engine="0",model_name="{self.model}"'
        ttft = "vllm:time_to_first_token_seconds"
        http = 'http_requests_total{handler="/v1/chat/completions",method="POST"'
        lines = [
            "# TYPE vllm:num_requests_running gauge",
            f"vllm:num_requests_running{{{label}}} {float(self.running)}",
            "# TYPE vllm:num_requests_waiting gauge",
            f"vllm:num_requests_waiting{{{label}}} {float(self.waiting)}",
            "# TYPE vllm:prompt_tokens_total counter",
            f"vllm:prompt_tokens_total{{{label}}} {float(self.prompt_tokens)}",
            "# TYPE vllm:generation_tokens_total counter",
            f"vllm:generation_tokens_total{{{label}}} {float(self.generation_tokens)}",
            "# TYPE vllm:request_success_total counter",
            f'vllm:request_success_total{{{label},finished_reason="length"}} '
            f"{float(self.requests)}",
            "# TYPE http_requests_total counter",
            f'{http},status="2xx"}} {float(self.requests)}',
            f'{http},status="5xx"}} {float(self.failed)}',
            f"# TYPE {ttft} histogram",
        ]
        seen = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.ttft_counts, strict=True):
            seen += count
            lines.append(f'{ttft}_bucket{{{label},le="{bound}"}} {float(seen)}')
        lines += [
            f"{ttft}_count{{{label}}} {float(seen)}",
            f"{ttft}_sum{{{label}}} {self.ttft_sum}",
        ]
        return "\n".join(lines) + "\n"
