"""Why a container does not start, or ends."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, replace

from tasks.base.scrub import scrub_text
from tasks.diagnose.logs import exceptions, excerpt, find
from tasks.objects.pods import ContainerStatus, Object, conditions, ending, ready, state, statuses

# Failed pulls until a transient-looking cause is believed to stay.
PULLS = 3
# Restarts until an unexplained crash is believed to stay.
RESTARTS = 2
IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}


@dataclass(frozen=True)
class Diagnosis:
    """Why something can't become ready.

    code: stable, for records and tests; summary: one sentence; detail: the words of Kubernetes;
    action: what to do; fatal: waiting is pointless; log_tail: the container's last lines.
    """

    code: str
    summary: str
    detail: str = ""
    action: str = ""
    fatal: bool = False
    log_tail: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Summary and the words it rests on, on one line."""
        more = f" ({self.detail})" if self.detail and self.detail not in self.summary else ""
        return scrub_text(" ".join(f"{self.summary}{more}".split()))

    def text(self) -> str:
        """Everything on a few lines, for a person."""
        lines = [self.summary]
        if self.detail and self.detail not in self.summary:
            lines.append(f"  found: {self.detail}")
        if self.action:
            lines.append(f"  do: {self.action}")
        # what was said already is not said again
        more = [line for line in self.log_tail if line not in self.detail + self.summary]
        if more:
            lines.append("  its log says:")
            lines += [f"    {line}" for line in more]
        return scrub_text("\n".join(lines))


# What a spec calls the engine's part, and what it calls the same of the Jobs.
_RUNNER_WORDS = (
    ("serving.command for this image", "runner.image: it lacks what the Job runs"),
    ("serving.image", "runner.image"),
    ("serving.pod", "runner.pod"),
    ("serving.resources.memory", "the memory limit in runner.pod"),
)


def of_runner(found: Diagnosis) -> Diagnosis:
    """The same of a Job's pod: what to do names the spec's `runner`, not `serving`."""
    action = found.action
    for engine, runner in _RUNNER_WORDS:
        action = action.replace(engine, runner)
    return replace(found, action=action)


def event_count(event: Object) -> int:
    """How often an event happened."""
    return int(event.get("count") or (event.get("series") or {}).get("count") or 1)


def containers(
    name: str, pod: Object, status: Object, events: list[Object], logs: str
) -> Diagnosis | None:
    """The most telling trouble of a pod's containers; logs: of the one that fails."""
    found: list[Diagnosis] = []
    main = statuses(pod)
    restarting = pod["spec"].get("restartPolicy", "Always") == "Always"
    for container in statuses(pod, init=True):
        serves = restarting and container in main
        waiting = state(container).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in IMAGE_REASONS:
            found.append(_image(name, container, reason, waiting.get("message", ""), events))
        elif reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
            found.append(_not_started(name, container, reason, waiting.get("message", ""), events))
        elif crashed := _crash(name, pod, container, serves, events, logs):
            found.append(crashed)
    return next((d for d in found if d.fatal), found[0] if found else None)


def failing_container(pod: Object) -> tuple[str, bool] | None:
    """(name, previous life) of the container whose log tells most; None where none has run.

    A container that ended before and runs again tells in its previous life why it ended.
    """
    entries = statuses(pod, init=True)
    ran = [e for e in entries if set(state(e)) & {"running", "terminated"}]
    ran += [e for e in entries if e.get("restartCount") and e not in ran]
    for entry in ran:
        done = state(entry).get("terminated") or {}
        if not entry.get("ready") and not (done and not done.get("exitCode")):
            return entry["name"], bool(entry.get("restartCount")) and "running" in state(entry)
    return (ran[-1]["name"], False) if ran else None


def phase_text(pod: Object) -> str:
    """What the pod is doing, in the words of `kubectl get pods`: 'ContainerCreating'."""
    status = pod.get("status") or {}
    if ending(pod):
        return "Terminating"
    if ready(pod):
        return "Ready"
    scheduled = conditions(pod).get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return f"Pending: {scheduled.get('reason', 'not scheduled')}"
    text = str(status.get("reason") or status.get("phase") or "Pending")
    for entry in statuses(pod, init=True):
        waiting, ended = state(entry).get("waiting"), state(entry).get("terminated")
        if waiting:
            text = waiting.get("reason") or text
        elif ended and ended.get("exitCode"):
            text = ended.get("reason") or exit_text(ended["exitCode"])
        elif "running" in state(entry) and not entry.get("ready"):
            text = "Running, not ready yet"
        if entry.get("restartCount"):
            text += f" ({entry['restartCount']} restarts)"
        if waiting or (ended and ended.get("exitCode")):
            break
    return text


# Ends by a signal that say something without a log: code, cause, action, certain at once.
_SIGNALLED = {
    # intel/ipex-llm#12922, vllm-project/vllm#18660: often no line at all
    132: (
        "cpu-unsupported",
        "the image uses instructions this CPU does not have, most likely",
        "use a node that has them (AVX2, AVX-512), or an image built without",
        True,
    ),
    135: (
        "shared-memory",
        "a worker ran out of shared memory, most likely",
        "raise serving.resources.shm_gib",
        False,
    ),
}

_IMAGE_CAUSES: tuple[tuple[str, str, str, str, bool], ...] = (
    # code, pattern, cause, action, certain at once; the first that matches counts
    (
        "image-platform",
        r"no match for platform|exec format",
        "the image is not built for the node's processor",
        "use an image for the node's platform",
        True,
    ),
    (
        "image-tls",
        r"x509|certificate|server gave HTTP response to HTTPS",
        "the registry's certificate is not accepted by the node",
        "give the node's container runtime the registry's CA, or name it as insecure there",
        True,
    ),
    (
        "image-auth",
        r"unauthorized|authentication required|authorization failed|no basic auth|403 Forbidden|"
        r"denied: requested access",
        "the registry wants other credentials",
        "add the registry's pull Secret to the service account or to serving.pod imagePullSecrets",
        True,
    ),
    (
        "image-not-found",
        r"manifest unknown|not found|NotFound|name unknown|repository does not exist|"
        r"pull access denied",
        "the registry does not have it (or hides it without credentials)",
        "correct serving.image, or push the image",
        True,
    ),
    (
        "image-disk",
        r"no space left on device",
        "the node's disk is full",
        "free space for images on the node",
        False,
    ),
)
_TRANSIENT = re.compile(
    r"i/o timeout|timed? ?out|deadline exceeded|connection (?:refused|reset)|no such host|"
    r"TLS handshake|too ?many ?requests|unexpected EOF|temporar|no route to host|"
    r"status code:? 50\d|50\d (?:Internal|Bad|Service|Gateway)",
    re.IGNORECASE,
)


def _image(
    name: str, container: ContainerStatus, reason: str, message: str, events: list[Object]
) -> Diagnosis:
    image = container.get("image", "?")
    pulls = [e for e in events if e.get("reason") == "Failed" and "pull" in e.get("message", "")]
    # The back-off message names the image only; the event has the registry's words.
    said = _both(message, pulls[-1]["message"] if pulls else "")
    words = said.replace(image, "")
    failures = max([1, *(event_count(e) for e in pulls)], default=1)
    code, cause, action, certain = "image-pull", "the pull failed", "check the registry", False
    if reason == "InvalidImageName":
        code, cause, action, certain = "image-name", "that is no image name", "correct it", True
    elif reason == "ErrImageNeverPull":
        code, certain = "image-absent", True
        cause, action = "the node does not hold it and may not pull", "load it onto the node"
    elif _TRANSIENT.search(words):
        code, cause = "image-registry", "the registry could not be reached"
        action = "check the registry and the node's way to it"
    else:
        for row_code, pattern, row_cause, row_action, row_certain in _IMAGE_CAUSES:
            if re.search(pattern, words, re.IGNORECASE):
                code, cause, action, certain = row_code, row_cause, row_action, row_certain
                break
    return Diagnosis(
        code,
        f"pod {name} cannot get the image {image}: {cause}",
        f"{reason}: {said}",
        action,
        fatal=certain or failures >= PULLS,
    )


def _both(message: str, event: str) -> str:
    """A back-off's message and the event's; once where one has the other's words."""
    core = event.partition('": ')[2] or event
    if core and core in message:
        return message
    return event if message and message in event else f"{message} {event}".strip()


def _not_started(
    name: str, container: ContainerStatus, reason: str, message: str, events: list[Object]
) -> Diagnosis:
    missing = re.search(r"(secret|configmap) \"([^\"]+)\" not found", message, re.IGNORECASE)
    key = re.search(r"couldn't find key (\S+) in (Secret|ConfigMap) (\S+)", message)
    if missing:
        code, action = "config-missing", f"create the {missing[1].lower()} {missing[2]}"
    elif key:
        code, action = "config-missing", f"add the key {key[1]} to the {key[2]} {key[3]}"
    elif "executable file not found" in message or "no such file or directory" in message:
        code, action = "command", "correct serving.command for this image"
    elif "not a shared or slave mount" in message or "not a shared mount" in message:
        code = "mount-propagation"
        action = "make the node's mounts shared, as systemd does: mount --make-rshared /"
    else:
        code, action = "container-create", "see the words of the container runtime"
    return Diagnosis(
        code,
        f"container {container['name']} of pod {name} cannot be started ({reason})",
        message,
        action,
        fatal=code != "container-create"
        or container.get("restartCount", 0) >= RESTARTS
        # one that is never made never restarts: each attempt is an event
        or sum(event_count(e) for e in events if e.get("reason") == "Failed") >= PULLS,
    )


def _crash(
    name: str,
    pod: Object,
    container: ContainerStatus,
    serves: bool,
    events: list[Object],
    logs: str,
) -> Diagnosis | None:
    ended = (container.get("state") or {}).get("terminated")
    ended = ended or (container.get("lastState") or {}).get("terminated")
    restarts = container.get("restartCount", 0)
    if ended is None or container.get("ready"):
        return None
    if not ended.get("exitCode") and not serves:
        return None  # its work is done; only a server must not end
    spec: Object = next(
        (
            c
            for c in [*pod["spec"].get("initContainers", []), *pod["spec"].get("containers", [])]
            if c["name"] == container["name"]
        ),
        {},
    )
    code, how = ended.get("exitCode", 0), exit_text(ended.get("exitCode", 0))
    who = f"container {container['name']} of pod {name}"
    # 'Error' and 'Completed' say no more than the exit code
    reason = "" if ended.get("reason") in ("Error", "Completed") else ended.get("reason", "")
    detail = f"{reason} {ended.get('message', '')}".strip()
    again = restarts >= RESTARTS
    if ended.get("reason") == "OOMKilled":
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        return Diagnosis(
            "oom-killed",
            f"{who} was killed for host memory (limit {limit or 'none'})",
            detail,
            "raise serving.resources.memory" if limit else "set serving.resources.memory",
            # Without a limit of its own the node was short, which may pass.
            fatal=bool(limit) or again,
        )
    found = find(logs)
    # Who ended it says more than that it was ended.
    ended_it = found is None or found.code == "terminated"
    if ended_it and (probed := _killed_by_probe(who, events, again)):
        return probed
    if found is not None:
        return Diagnosis(
            found.code,
            f"{who} {how}: {found.cause}",
            found.said,
            found.action,
            fatal=found.hopeless or again,
            log_tail=(found.line,),
        )
    if code in (126, 127) or ended.get("reason") in ("StartError", "ContainerCannotRun"):
        return Diagnosis(
            "command",
            f"{who} has no such command ({how})",
            detail,
            "correct serving.command for this image",
            fatal=True,
        )
    if code in _SIGNALLED:
        told, cause, action, certain = _SIGNALLED[code]
        return Diagnosis(told, f"{who} {how}: {cause}", detail, action, fatal=certain or again)
    hint = " or a child was killed for host memory" if code == 137 else ""
    said = exceptions(logs)
    cause = f": {said[-1]}" if said else f", {restarts} restarts so far"
    return Diagnosis(
        "crash",
        f"{who} {how}{hint}{cause}",
        detail,
        "see its whole log",
        fatal=again,
        log_tail=excerpt(logs),
    )


def _killed_by_probe(who: str, events: list[Object], again: bool) -> Diagnosis | None:
    for event in reversed(events):
        message = event.get("message", "")
        if event.get("reason") == "Killing" and "probe" in message:
            kind = "startup" if "startup probe" in message else "liveness"
            advice = {
                "startup": "raise serving.startup_timeout_s, or find what makes it slow",
                "liveness": "the engine hung or was saturated; allow the probe more time",
            }
            return Diagnosis(
                f"{kind}-probe", f"{who} failed its {kind} probe", message, advice[kind], again
            )
    return None


def exit_text(code: int) -> str:
    """'exited with 1', 'was ended by SIGKILL (exit 137)'."""
    if code > 128:
        try:
            return f"was ended by {signal.Signals(code - 128).name} (exit {code})"
        except ValueError:
            pass
    return f"exited with {code}"
