"""vLLM's command line read as vLLM reads it.

Source: FlexibleArgumentParser in vllm/utils/argparse_utils.py (vLLM 0.32; in earlier releases in
vllm/utils), over argparse of Python 3.11: in a name that begins with -- underscores are dashes up
to the first dot, what stands after a dot is a key of a JSON value; a value follows '=' or is the
next argument; a beginning that no other flag has is the flag; `--config FILE` is replaced by what
the file says. Short forms: the options of vllm/engine/arg_utils.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

# What a spec has a field for, and the field that says it.
OWNED: Mapping[str, str] = MappingProxyType(
    {
        "--model": "model.id",
        "--served-model-name": "serving.served_model_name",
        "--port": "serving.port",
        "--host": "nothing: the pod listens on its own address",
        "--tensor-parallel-size": "serving.tensor_parallel_size",
        "--max-model-len": "serving.max_model_len",
        "--max-num-seqs": "serving.max_num_seqs",
        "--dtype": "serving.dtype",
        "--gpu-memory-utilization": "serving.gpu_memory_utilization",
        "--enforce-eager": "serving.enforce_eager",
        "--trust-remote-code": "model.trust_remote_code",
        "--api-key": "a Secret through serving.pod env (an argument is visible to everyone)",
        "--hf-token": "a Secret through serving.pod env (an argument is visible to everyone)",
        "--config": "serving.extra_args itself: a file in the image may say anything",
    }
)
# What we only read.
PIPELINE = "--pipeline-parallel-size"
DATA = "--data-parallel-size"
DATA_LOCAL = "--data-parallel-size-local"
DATA_RANK = "--data-parallel-rank"
PREFILL_CONTEXT = "--prefill-context-parallel-size"
DECODE_CONTEXT = "--decode-context-parallel-size"
EXPERTS = "--enable-expert-parallel"
CACHE_TYPE = "--kv-cache-dtype"
CACHE_BYTES = "--kv-cache-memory-bytes"
BLOCK = "--block-size"
BATCHED = "--max-num-batched-tokens"
ONE_CACHE = "--disable-hybrid-kv-cache-manager"
STATE_MODE = "--mamba-cache-mode"
STATE_TYPE = "--mamba-ssm-cache-dtype"
SPECULATIVE = "--speculative-config"
OVERRIDES = "--hf-overrides"
ROPE = "--rope-scaling"  # of older releases
QUANTIZATION = "--quantization"
OFFLOAD = "--cpu-offload-gb"
SHUTDOWN = "--shutdown-timeout"
_READ = (
    *(PIPELINE, DATA, DATA_LOCAL, DATA_RANK, PREFILL_CONTEXT, DECODE_CONTEXT, EXPERTS),
    *(CACHE_TYPE, CACHE_BYTES, BLOCK, BATCHED, ONE_CACHE, STATE_MODE, STATE_TYPE, SPECULATIVE),
    *(OVERRIDES, ROPE, QUANTIZATION, OFFLOAD, SHUTDOWN),
)
_ALIASES = {
    "-tp": "--tensor-parallel-size",
    "-pp": PIPELINE,
    "-dp": DATA,
    "-dpl": DATA_LOCAL,
    "-dpn": DATA_RANK,
    "-pcp": PREFILL_CONTEXT,
    "-dcp": DECODE_CONTEXT,
    "-ep": EXPERTS,
    "-q": QUANTIZATION,
    "--device-memory-utilization": "--gpu-memory-utilization",
    "--no-enforce-eager": "--enforce-eager",
    "--no-trust-remote-code": "--trust-remote-code",
    "--no-enable-expert-parallel": EXPERTS,
    "--no-disable-hybrid-kv-cache-manager": ONE_CACHE,
}
# every spelling that we know, and the flag it is
SPELLINGS: Mapping[str, str] = MappingProxyType(
    {name: name for name in (*OWNED, *_READ)} | _ALIASES
)
# flags of their own, now or in older releases, that another one begins with
_WHOLE = {"--device", "--no"}


@dataclass(frozen=True)
class Flag:
    """One flag. name: as vLLM calls it where we know it. told: as it was written, without value."""

    name: str
    value: str | None
    told: str


def canonical(told: str) -> str:
    """The flag that an argument's name stands for; the name itself where we do not know it."""
    name = told.split(".", 1)[0].replace("_", "-") if told.startswith("--") else told
    if name in SPELLINGS:
        return SPELLINGS[name]
    # which beginnings are clear depends on the release: all of ours count, as none is of use
    if len(name) > 1 and name not in {"--", *_WHOLE}:
        found = {flag for spelling, flag in SPELLINGS.items() if spelling.startswith(name)}
        if found:
            return min(found, key=lambda flag: (flag not in OWNED, flag))
    return name


def flags(args: Sequence[str]) -> list[Flag]:
    """The flags of a command line. A value that stands apart is the next argument, unless that is
    a flag."""
    out: list[Flag] = []
    for at, arg in enumerate(args):
        if not arg.startswith("-") or arg == "-" or _number(arg):
            continue
        told, given, value = arg.partition("=")
        after = args[at + 1] if at + 1 < len(args) else None
        if given:
            out.append(Flag(canonical(told), value, told))
        elif after is None or (after.startswith("-") and not _number(after)):
            out.append(Flag(canonical(told), None, told))
        else:
            out.append(Flag(canonical(told), after, told))
    return out


def value_of(args: Sequence[str], name: str) -> str | None:
    """What a flag says: the last one counts. None where it is not given."""
    values = [flag.value for flag in flags(args) if flag.name == name]
    return values[-1] if values else None


def is_on(args: Sequence[str], name: str) -> bool:
    """Whether a switch is given; of `--x` and `--no-x` the last one counts."""
    told = [flag.told for flag in flags(args) if flag.name == name]
    return bool(told) and not told[-1].replace("_", "-").startswith("--no-")


def number_of(args: Sequence[str], name: str) -> float | None:
    """A number as vLLM reads it: 8k is 8000, 8K is 8192. None where it is not given or none."""
    found = re.fullmatch(
        r"([0-9.]+(?:e[0-9]+)?)([kKmMgGtT]?)", (value_of(args, name) or "").strip()
    )
    if found is None:
        return None
    try:
        size = float(found[1])
    except ValueError:
        return None
    power = 1 + "kmgt".index(found[2].lower()) if found[2] else 0
    return size * float(1024 if found[2].isupper() else 1000) ** power


def json_of(args: Sequence[str], name: str) -> dict[str, Any]:
    """A flag's JSON object; keys after a dot (`--hf-overrides.a.b 5`) make one, too, which counts
    instead. Empty where it is not given, or is no object."""
    whole: dict[str, Any] = {}
    dotted: dict[str, Any] = {}
    for flag in flags(args):
        if flag.name != name:
            continue
        value = _loads(flag.value)
        _, *keys = flag.told.split(".")
        if not keys:
            whole = value if isinstance(value, dict) else {}
            continue
        inner = dotted
        for key in keys[:-1]:
            below = inner.get(key)
            inner[key] = inner = below if isinstance(below, dict) else {}
        inner[keys[-1]] = value
    return dotted or whole


def _loads(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return text


def _number(arg: str) -> bool:
    try:
        float(arg)
    except ValueError:
        return False
    return True


def second_voice(args: Sequence[str]) -> str:
    """Why these arguments cannot stand beside the spec's own fields; '' where they can."""
    if args and not args[0].startswith("-"):
        return f"'{args[0]}' is no flag; vLLM would take it for the model, which is model.id"
    if "--" in args:
        return "'--' ends vLLM's flags, and what follows it is taken for the model; leave it out"
    for flag in flags(args):
        if flag.name in OWNED:
            meant = "" if flag.told == flag.name else f" (vLLM reads it as '{flag.name}')"
            return f"'{flag.told}'{meant} is set by its own field; use {OWNED[flag.name]}"
    return ""


def shutdown_fault(args: Sequence[str]) -> str:
    """Why vLLM would not take the time that it is given to end; '' where it would."""
    for flag in flags(args):
        if flag.name == SHUTDOWN and not re.fullmatch("[0-9]{1,6}", flag.value or ""):
            return (
                f"'{flag.told}' wants whole seconds, six digits at most, found '{flag.value or ''}'"
            )
    return ""
