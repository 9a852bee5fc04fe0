"""vLLM's flags as vLLM reads them, and what a spec therefore refuses."""

from __future__ import annotations

import argparse
import contextlib
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import SpecError
from tasks.spec.file import build_spec
from tasks.spec.flags import (
    CACHE_TYPE,
    OWNED,
    PIPELINE,
    SPELLINGS,
    canonical,
    flags,
    second_voice,
    value_of,
)
from tests.support.specs import minimal


def argparse_reads(args: list[str]) -> dict[str, Any] | None:
    """What vLLM's parser makes of it, with the flags that we know; None where it gives up."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--device", nargs="?")  # of older releases
    for flag in dict.fromkeys(SPELLINGS.values()):
        names = [name for name, long in SPELLINGS.items() if long == flag]
        parser.add_argument(*names, dest=flag, nargs="?", default=argparse.SUPPRESS)
    # as FlexibleArgumentParser does before it
    read = [
        f"--{arg[2:].split('=', 1)[0].replace('_', '-')}" + arg[len(arg.split("=", 1)[0]) :]
        if arg.startswith("--")
        else arg
        for arg in args
    ]
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            found = vars(parser.parse_args(read))
            return None if found.pop("device") else found
        except (SystemExit, argparse.ArgumentError):
            return None


@given(
    st.sampled_from(sorted(SPELLINGS)).flatmap(
        lambda name: st.integers(2, len(name)).map(lambda end: name[:end])
    ),
    st.sampled_from(["=", " "]),
    st.booleans(),
)
def test_whatever_argparse_takes_for_a_flag_we_do(name: str, joint: str, under: bool) -> None:
    told = "--" + name[2:].replace("-", "_") if under and name.startswith("--") else name
    args = [f"{told}=2"] if joint == "=" else [told, "2"]
    read = argparse_reads(args)
    if read is not None:
        assert {canonical(told): "2"} == read
        assert value_of(args, canonical(told)) == "2"
    if read is not None and set(read) & set(OWNED):
        assert second_voice(args)


@pytest.mark.parametrize(
    "args",
    [
        ["--max_model_len=1"],
        ["--max_model_len", "1"],
        ["--max-model=1"],
        ["--seed=1", "--gpu-mem", "0.5"],
        ["-tp", "2"],
        ["-tp=2"],
        ["-t", "2"],
        ["--device-memory-utilization=0.5"],
        ["--no-trust-remote-code"],
        ["--config", "/etc/x.yaml"],
        ["--config=/etc/x.yaml"],
        ["--api_key", "x"],
        ["--served-model-name.x=1"],
        ["other/model"],
        ["--seed=1", "--", "other/model"],
    ],
)
def test_a_second_voice_is_refused_however_it_is_spelt(args: list[str]) -> None:
    with pytest.raises(SpecError, match=r"serving\.extra_args"):
        build_spec(minimal({"serving": {"extra_args": args}}), "f")


@pytest.mark.parametrize(
    "args",
    [
        ["--kv-cache-dtype=fp8", "--pipeline_parallel_size", "2"],
        ["--device", "cpu"],
        ["--tokenizer=/x", "--model-impl=vllm", "--max-num-batched-tokens", "2048"],
        ["--hf-overrides.max_position=1", "--seed", "-1", "-dp", "2", "-O3"],
        ["--config-format=hf", "--enable-prefix-caching", "--no-enable-log-requests"],
    ],
)
def test_other_flags_are_taken(args: list[str]) -> None:
    assert (
        build_spec(
            minimal({"serving": {"image": "i:1", "extra_args": args}}), "f"
        ).serving.extra_args
        == args
    )


def test_the_last_value_counts() -> None:
    args = ["-pp=2", "--pipeline-parallel", "4", "--kv_cache_dtype", "fp8", "--x", "--y", "-1"]
    assert (value_of(args, PIPELINE), value_of(args, CACHE_TYPE)) == ("4", "fp8")
    assert [(flag.told, flag.value) for flag in flags(args)][-2:] == [("--x", None), ("--y", "-1")]
