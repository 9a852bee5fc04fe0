"""Started in a container's place: finds its surroundings, then becomes the container's program.

Arguments: a plan (JSON), the program, its arguments. The plan's fields:
parent: the kubelet's pid, with which we die. join: cgroup.procs files. enter: file descriptors
of namespaces, in order. binds: [source, destination] mounts that only we see. cwd. names: of the
program's variables, for Python adds one of its own.
Imports nothing of the project.
"""

import ctypes
import json
import os
import signal
import sys

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1


def checked(libc: ctypes.CDLL, name: str, *arguments: object) -> None:
    """Call the C library; OSError when it fails."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def main() -> None:
    """Prepare and become the program."""
    plan = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    for path in plan["join"]:
        with open(path, "w") as procs:  # noqa: PTH123 - starts fast without pathlib
            procs.write("0")
    for fd in plan["enter"]:
        checked(libc, "setns", fd, 0)
        os.close(fd)
    if plan["binds"]:
        checked(libc, "unshare", CLONE_NEWNS)
        checked(libc, "mount", None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
        for source, place in plan["binds"]:
            flags = ctypes.c_ulong(MS_BIND)
            checked(libc, "mount", source.encode(), place.encode(), None, flags, None)
    os.chdir(plan["cwd"])
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != plan["parent"]:  # it went before we asked
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    env = {name: os.environ[name] for name in plan["names"]}
    os.execve(sys.argv[2], sys.argv[3:], env)


if __name__ == "__main__":
    main()
