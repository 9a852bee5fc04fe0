"""How much a message explains: a cause, an echo of another's death, a pointer to another."""

from __future__ import annotations

import re

CAUSE, ECHO, POINTER = 2, 1, 0
# Points at another message: never a reason by itself.
_POINTER = re.compile(
    r"root cause|WorkerProc failed to start|ERR99999 UNKNOWN|"
    r"[Ss]ee (?:the )?stack ?trace|[Ss]ee (?:the )?(?:error|log)s? above|\(above\)|"
    r"Failed core proc|hit an exception\.?$|[Pp]lease check the (?:stack trace|logs?)|"
    r"died, exit code|Worker proc \S+ died|Background loop (?:has errored|is not running)|"
    r"Ninja build failed|PassManager::run failed|"
    r"Engine loop (?:has died|is not running)|MQEngineDeadError|"
    r"Command '\['ninja'|output_handler failed|"
    r"Engine core initialization failed|EngineDeadError|EngineCore failed to start|"
    r"Engine process failed to start|WorkerProc initialization failed|"
    r"Worker failed with error|in a background process|"
    r"^(?:SystemExit|KeyboardInterrupt|asyncio\.\S*CancelledError|CancelledError)\b"
)
# What others say once one has died: a reason only where there is no better.
_ECHO = re.compile(
    r"[Cc]onnection (?:was )?(?:reset|closed)|Broken pipe|BrokenPipeError|EOFError|"
    r"ncclRemoteError|ncclSystemError|store->get|DistBackendError|DistStoreError|"
    r"unhandled system error|remote process exited|Some NCCL operations have failed|"
    r"Watchdog caught collective|To avoid data inconsistency|ProcessGroup\w+ .*abort|"
    r"Process group .*terminat|died unexpectedly|exited unexpectedly|"
    r"ChildFailedError|ProcessExitedException"
)
# A pointer that carries the cause's words: they are all there is where the worker's are lost.
CARRIED = re.compile(r"(?:\w+: )?Worker failed with error '+(?P<words>.+?)'+(?:, please check|$)")


def weight(text: str) -> int:
    """How much a message explains: CAUSE, ECHO or POINTER."""
    if _POINTER.search(text):
        return POINTER
    return ECHO if _ECHO.search(text) else CAUSE


def says(text: str) -> bool:
    """Whether a message has words of its own, or carries another's."""
    return weight(text) > POINTER or bool(CARRIED.match(text))
