"""What several vendors' rows say alike."""

from __future__ import annotations

PTRACE = "SYS_PTRACE: the collective library maps memory between the worker processes"
UNCONFINED = "seccomp Unconfined: the compute driver uses calls the default profile refuses"
VIDEO = "group 44 (video): owns the device files"
HAMI = r"hami-.*device-plugin"
DROP_BUT_PTRACE = {"drop": ["ALL"], "add": ["SYS_PTRACE"]}
