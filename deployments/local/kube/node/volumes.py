"""A pod's volumes as folders of this machine."""

from __future__ import annotations

import base64
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.local.kube.objects.store import Store


class NotMounted(Exception):
    """A volume cannot be set up now; says why as the kubelet does."""

    def __init__(self, volume: str, why: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {why}')


class BadConfig(Exception):
    """A container cannot be created: a secret or config map is missing."""


def beneath(root: Path, path: str) -> Path:
    """A host path under the folder that plays the host's root."""
    return root.joinpath(*[part for part in path.split("/") if part not in ("", ".", "..")])


def host_path(root: Path, name: str, source: Mapping[str, Any]) -> Path:
    """Check or make a hostPath as its type says. Raises NotMounted."""
    path, kind = str(source["path"]), source.get("type") or ""
    real = beneath(root, path)
    if kind in ("", "DirectoryOrCreate"):
        if not real.exists():
            real.mkdir(parents=True, exist_ok=True)
        elif kind and not real.is_dir():
            raise NotMounted(name, f"hostPath type check failed: {path} is not a directory")
        return real
    if kind == "FileOrCreate" and not real.exists() and real.parent.is_dir():
        real.touch()
    checks = {
        "Directory": (real.is_dir, "a directory"),
        "File": (real.is_file, "a file"),
        "FileOrCreate": (real.is_file, "a file"),
        # device files cannot be made here; a plain file stands in
        "CharDevice": (lambda: real.is_char_device() or real.is_file(), "a character device"),
        "BlockDevice": (lambda: real.is_block_device() or real.is_file(), "a block device"),
        "Socket": (real.is_socket, "a socket file"),
    }
    if kind not in checks:
        raise NotMounted(name, f"{kind} is an invalid volume type")
    check, what = checks[kind]
    if not check():
        raise NotMounted(name, f"hostPath type check failed: {path} is not {what}")
    return real


def data_of(store: Store, plural: str, ns: str, name: str) -> dict[str, bytes] | None:
    """A Secret's or ConfigMap's entries as bytes; None when there is none."""
    found = store.get(plural, ns, name)
    if found is None:
        return None
    if plural == "configmaps":
        text = {key: str(value).encode() for key, value in (found.get("data") or {}).items()}
        binary = found.get("binaryData") or {}
        return {**text, **{key: base64.b64decode(value) for key, value in binary.items()}}
    plain = {key: str(value).encode() for key, value in (found.get("stringData") or {}).items()}
    coded = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    return {**coded, **plain}


def _files(
    store: Store, folder: Path, name: str, ns: str, plural: str, source: Mapping[str, Any]
) -> Path:
    named = str(source.get("secretName") or source.get("name"))
    data = data_of(store, plural, ns, named)
    if data is None and not source.get("optional"):
        one = "secret" if plural == "secrets" else "configmap"
        raise NotMounted(name, f'{one} "{named}" not found')
    data = data or {}
    items = source.get("items")
    wanted = {item["key"]: item["path"] for item in items} if items else {key: key for key in data}
    folder.mkdir(parents=True, exist_ok=True)
    for key, path in wanted.items():
        if key not in data:
            raise NotMounted(name, f"references non-existent {plural[:-1]} key: {key}")
        target = beneath(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data[key])
        mode = 0o600 if plural == "secrets" else 0o644
        target.chmod(stat.S_IMODE(int(source.get("defaultMode") or mode)))
    return folder


def set_up(store: Store, pod: Mapping[str, Any], root: Path, folder: Path) -> dict[str, Path]:
    """Volume name -> folder (or file). Raises NotMounted."""
    ns = pod["metadata"]["namespace"]
    out: dict[str, Path] = {}
    for volume in pod["spec"].get("volumes") or []:
        name = str(volume["name"])
        own = folder / "volumes" / name
        if "hostPath" in volume:
            out[name] = host_path(root, name, volume["hostPath"])
        elif "secret" in volume:
            out[name] = _files(store, own, name, ns, "secrets", volume["secret"])
        elif "configMap" in volume:
            out[name] = _files(store, own, name, ns, "configmaps", volume["configMap"])
        elif "persistentVolumeClaim" in volume:
            claim = str(volume["persistentVolumeClaim"]["claimName"])
            if store.get("persistentvolumeclaims", ns, claim) is None:
                raise NotMounted(name, f'persistentvolumeclaim "{claim}" not found')
            out[name] = beneath(root, f"/claims/{ns}/{claim}")
            out[name].mkdir(parents=True, exist_ok=True)
        elif "emptyDir" in volume:
            own.mkdir(parents=True, exist_ok=True)
            out[name] = own
        else:
            kind = next((key for key in volume if key != "name"), "no source")
            raise NotMounted(name, f"this stand-in has no volumes of kind {kind}")
    return out


def mounts_of(container: Mapping[str, Any], volumes: Mapping[str, Path]) -> dict[str, str]:
    """Mount path -> real path of one container, subPath applied."""
    out = {}
    for mount in container.get("volumeMounts") or []:
        real = volumes[mount["name"]]
        if mount.get("subPath"):
            real = beneath(real, str(mount["subPath"]))
            if not real.exists():
                real.mkdir(parents=True, exist_ok=True)
        out[str(mount["mountPath"])] = str(real)
    return out
