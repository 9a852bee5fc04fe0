"""What else than a spec's own fields could tell vLLM how to serve: its command and its environment.
What both said, one of them would say unheard, and the record would not have it: it is refused.

Source of the variables: vllm/envs.py (vLLM 0.32); huggingface_hub and transformers for offline.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tasks.spec.flags import OWNED, SPELLINGS, canonical

_SERVER = "vllm.entrypoints."
_SHELL = set(";&|()<>")
# what a shell puts our arguments in for
_OURS = {"$@", "$*", "${@}", "${*}"}
_OFFLINE = "nothing: code and weights come from the verified folder alone"
# Variables that say what a field says, or let in what nobody has verified, and the field.
SWITCHES: Mapping[str, str] = MappingProxyType(
    {
        "HF_HUB_OFFLINE": _OFFLINE,
        "TRANSFORMERS_OFFLINE": _OFFLINE,
        "VLLM_USE_MODELSCOPE": "model.id: the weights are on the node already",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "model.id: clients would load weights nobody verified",
        "VLLM_ALLOW_INSECURE_SERIALIZATION": "nothing: whoever sends a message would run code",
        "VLLM_SERVER_DEV_MODE": "nothing: whoever reaches the port could call the workers",
    }
)
_ON = {"1", "true", "yes", "on"}


def _words(command: Sequence[str]) -> list[str]:
    """The words of a command, and those of the scripts in it."""
    out: list[str] = []
    for word in command:
        if not re.search(r"\s", word):
            out.append(word)
            continue
        try:
            script = shlex.shlex(word, posix=True, punctuation_chars=True)
            script.whitespace_split = True
            out += [*script, ";"]
        except ValueError:  # a quote that does not end
            out += [*re.split(r"[\s'\"]+", word), ";"]
    return out


def _own(words: Sequence[str]) -> list[str]:
    """The words that vLLM's server gets before ours."""
    begins = None
    for at, word in enumerate(words):
        before = posixpath.basename(words[at - 1]) if at else ""
        if (word == "serve" and before.partition(".")[0] == "vllm") or (
            word.startswith(_SERVER) and before == "-m"
        ):
            begins = at + 1
    rest = words[begins:] if begins is not None else ()
    end = next((at for at, word in enumerate(rest) if word and set(word) <= _SHELL), len(rest))
    return [word for word in rest[:end] if word not in _OURS and not word.isdigit()]


def command_voice(command: Sequence[str]) -> str:
    """Why a command cannot stand; '' where it can.

    vLLM's flags stand in serving.extra_args, where everything that reads them looks. What a program
    of the image does by itself is not seen here.
    """
    words = _words(command)
    for word in _own(words):
        if not word.startswith("-"):
            return f"'{word}' would be taken for the model, which is model.id; leave it out"
        return f"'{word}' is a flag of vLLM's; use {_field(word)}"
    for word in words:
        name = canonical(word.partition("=")[0])
        if word.startswith("--") and name in SPELLINGS:
            return f"vLLM would read '{word}' as '{name}'; use {_field(word)}"
    return ""


def _field(word: str) -> str:
    return OWNED.get(canonical(word.partition("=")[0]), "serving.extra_args")


def env_voices(env: Mapping[str, Any], place: str) -> Iterator[str]:
    """A line for each variable that speaks where a field does. A value that is no text comes from
    elsewhere, and may be any."""
    for name, value in env.items():
        on = str(value).strip().lower() in _ON
        harmless = on if SWITCHES.get(name) == _OFFLINE else not on
        if name in SWITCHES and not (isinstance(value, str) and harmless):
            yield f"{place}.{name}: leave it out and use {SWITCHES[name]}"
