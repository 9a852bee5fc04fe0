"""Makes a mount namespace with file systems in memory, and holds it until its kubelet has it.

Argument: a JSON list of [path, bytes, flags]. Prints 'ready', or why it cannot; ends with stdin.
Where we may not mount, a user namespace in which we may comes first. Imports nothing of the
project.
"""

import ctypes
import json
import os
import sys

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def checked(libc: ctypes.CDLL, name: str, *arguments: object) -> None:
    """Call the C library; OSError when it fails."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(libc: ctypes.CDLL) -> None:
    """A mount namespace of our own."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        try:
            return checked(libc, "unshare", CLONE_NEWNS)
        except PermissionError:
            pass  # root without the right: as anybody else
    checked(libc, "unshare", CLONE_NEWUSER | CLONE_NEWNS)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
            file.write(text)
    return None


def main() -> None:
    """Make it and wait."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        unshare(libc)
        checked(libc, "mount", None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
        for path, size, flags in json.loads(sys.argv[1]):
            options = f"size={size},mode=1777".encode()
            place, word = path.encode(), b"tmpfs"
            checked(libc, "mount", word, place, word, ctypes.c_ulong(flags), options)
    except OSError as error:
        print(error, flush=True)
        return
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
