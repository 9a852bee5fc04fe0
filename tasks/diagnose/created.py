"""Why a controller may not create pods: one rule for Deployments and Jobs.

A Deployment tells it in its condition ReplicaFailure, a Job in its events of reason FailedCreate;
both carry the API server's words. Wordings are those of Kubernetes 1.24 to 1.37.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from tasks.diagnose.containers import Diagnosis
from tasks.nodes.facts import quantity
from tasks.objects.pods import Object

# code, pattern, what to do, whether the next attempt must fail as well; the first that fits counts
_ROWS: tuple[tuple[str, str, str, bool], ...] = (
    (
        "pod-security",
        r"violates PodSecurity \"\w+",
        "label the namespace pod-security.kubernetes.io/enforce=privileged (weights and driver "
        "files come from folders of the host), or use a namespace that has it",
        True,
    ),
    (
        # OpenShift's rule of the same kind
        "pod-security",
        r"unable to validate against any security context constraint",
        "grant the namespace's service account a SecurityContextConstraint that allows folders of "
        "the host, such as hostmount-anyuid",
        True,
    ),
    (
        "quota",
        r"failed quota: .*must specify",
        "state what the namespace's quota counts: serving.resources for the engine, runner.pod for "
        "the Jobs",
        True,
    ),
    (
        "quota",
        r"exceeded quota|insufficient quota|failed quota",
        "raise the namespace's quota or ask for less",
        False,
    ),
    (
        "limit-range",
        r"(?:maximum|minimum) .*usage per (?:Container|Pod)|max limit to request ratio",
        "ask for what the namespace's LimitRange allows, or change it",
        True,
    ),
    (
        # every namespace gets this one, a moment after it was made
        "service-account",
        r"serviceaccount \"default\" not found",
        "see why the namespace has no service account default, or name another",
        False,
    ),
    (
        "service-account",
        r"serviceaccount \"?([^\"\s]+)\"? not found|error looking up service account",
        "create that service account in the namespace",
        True,
    ),
    (
        "webhook-down",
        r"failed calling webhook",
        "the webhook itself does not answer: mend it, or set its failurePolicy to Ignore",
        False,
    ),
    (
        "admission",
        r"admission webhook|ValidatingAdmissionPolicy|denied the request|denied request|denied",
        "satisfy or change the admission rule",
        True,
    ),
    (
        "priority-class",
        r"no PriorityClass with name \S+ was found",
        "create that PriorityClass, or name another in serving.pod",
        True,
    ),
    (
        "runtime-class",
        r"RuntimeClass \"?([^\"\s]+)\"? not found",
        "create that RuntimeClass, or name another in serving.pod",
        True,
    ),
    (
        "namespace-ends",
        r"because it is being terminated",
        "the namespace is being deleted: make it anew, or use another",
        True,
    ),
    (
        "pod-invalid",
        r"Pod \"[^\"]*\" is invalid",
        "correct serving.pod or runner.pod: the API server does not take the pod",
        True,
    ),
)


def _above_quota(words: str) -> bool:
    """Whether more is asked for than a quota gives in all, so that no pod's end would help."""
    part = {
        name: dict(re.findall(r"([\w./-]+)=([\w.]+)", found[1]))
        for name in ("requested", "limited")
        if (found := re.search(rf"{name}: ([\w./=,-]+)", words))
    }
    limited = part.get("limited", {})
    try:
        return any(
            quantity(amount) > quantity(limited[name])
            for name, amount in part.get("requested", {}).items()
            if name in limited
        )
    except ValueError:
        return False


def not_created(owner: str, message: str, *, waited_s: float = 0, grace_s: float = 0) -> Diagnosis:
    """The diagnosis of an object whose pods the API server does not take.

    owner: 'Deployment x' or 'Job x'. message: the API server's words. waited_s: for how long; what
    may pass by itself (a quota that pods just stopping still hold) is fatal after `grace_s` only.
    """
    words = re.sub(r"^Error creating: ", "", message.strip())
    code, action, certain = "not-created", "see the words of the API server", False
    for row_code, pattern, row_action, row_certain in _ROWS:
        if re.search(pattern, words, re.IGNORECASE):
            code, action, certain = row_code, row_action, row_certain
            break
    certain = certain or (code == "quota" and _above_quota(words))
    return Diagnosis(
        code,
        f"no pod of {owner} may be created ({code})",
        words,
        action,
        fatal=certain or waited_s > grace_s,
    )


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None


def _stamp(event: Object) -> datetime | None:
    series = event.get("series") or {}
    return _time(
        series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    )


def job_not_created(
    job: Object, events: Sequence[Object], *, since: datetime, now: datetime, grace_s: float = 60
) -> Diagnosis | None:
    """Why a Job has no pod, from its events; None when its last attempt to make one worked.

    events: of the Job, any order; those of an older Job of its name are left out. since: when it
    began to be watched: what failed before, in a Job that was found, may have been mended.
    """
    meta = job["metadata"]
    made = _time(meta.get("creationTimestamp"))
    own = [
        (stamp, event)
        for event in events
        if (event.get("involvedObject") or {}).get("uid") in (None, meta.get("uid"))
        and event.get("reason") in ("FailedCreate", "SuccessfulCreate")
        and (stamp := _stamp(event)) is not None
        and (made is None or made >= since or stamp >= since)
    ]
    # in the same second a success is the later one: after it nothing is tried
    last = max(own, key=lambda item: (item[0], item[1]["reason"] != "FailedCreate"), default=None)
    if last is None or last[1]["reason"] == "SuccessfulCreate":
        return None
    first = min(_time(event.get("firstTimestamp")) or stamp for stamp, event in own)
    return not_created(
        f"Job {meta['name']}",
        str(last[1].get("message") or ""),
        waited_s=(now - first).total_seconds(),
        grace_s=grace_s,
    )
