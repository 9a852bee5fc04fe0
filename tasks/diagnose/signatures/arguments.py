"""Ends for a command line or an environment that vLLM does not take."""

from __future__ import annotations

from tasks.diagnose.signatures.table import row

ROWS = (
    row(
        "arguments",
        r"unrecognized arguments: (?P<args>.+)|error: argument (?P<args2>.+)|"
        r"error: (?P<args3>(?:the following arguments are required|ambiguous option|"
        r"expected one argument).+)",
        "vLLM does not take the argument {args}",
        "correct serving.extra_args for the vLLM in this image; each word is an item of its own",
        "unslothai/unsloth pull 2811, vllm-project/vllm#27389, vllm-project/vllm#8273",
    ),
)
