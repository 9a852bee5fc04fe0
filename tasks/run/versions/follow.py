"""Which version is followed, what it is now, and how it stands to what serves."""

from __future__ import annotations

from tasks.base.errors import OutsideError, Refused
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.modelscope.hub import Hub, Limits
from tasks.outside.modelscope.place import hub_endpoint
from tasks.outside.modelscope.revisions import log_of, tags_of
from tasks.outside.oci.logins import KeyRing
from tasks.outside.oci.registry import digest_of_image
from tasks.release.state import State
from tasks.release.versions.memory import (
    WatchMemory,
    seen_before,
)
from tasks.release.versions.order import Order, newest_tag, order_of, order_of_tags
from tasks.spec.images import by_digest, pull_secrets
from tasks.spec.policy import Policy, hub_violations, image_violations
from tasks.spec.rollout import Rollout
from tasks.weights.manifest import BY_FILES, HUB_COMMIT

_ANY_DIGEST = f"sha256:{'0' * 64}"


def hub_commit(commit: str) -> str:
    """A manifest's commit as the hub names it, without what the chosen files add."""
    return commit if commit.startswith(BY_FILES) else commit.split("-", 1)[0]


def hub_of(spec: Rollout, policy: Policy, limits: Limits | None = None) -> Hub:
    """The hub of a spec's model. Raises Refused where the site does not allow it."""
    endpoint = spec.model.endpoint or hub_endpoint()
    if reasons := hub_violations(policy, endpoint):
        raise Refused("; ".join(reasons))
    return Hub.from_env(endpoint, limits)


def followed(hub: Hub, spec: Rollout) -> Rollout:
    """The spec with the revision that is followed: the newest of its tags, where it follows tags.
    Raises OutsideError, also where no tag matches."""
    pattern = spec.watch.tags
    if pattern is None:
        return spec
    tags = tags_of(hub, spec.model.id)
    found = newest_tag(tags, pattern, prereleases=spec.watch.prereleases)
    if found is None:
        known = ", ".join(tags[:20]) or "none"
        raise OutsideError(
            f"no tag of {spec.model.id} on hub {hub.endpoint} matches watch.tags {pattern!r} and "
            f"names a version or a date; its tags are: {known}"
        )
    model = spec.model.model_copy(update={"revision": found})
    return spec.model_copy(update={"model": model})


def pinned(policy: Policy, spec: Rollout, cluster: Cluster) -> Rollout:
    """The spec with its image by digest, where it follows that. Raises OutsideError where the
    registry does not tell, Refused where the site allows no such image: then nobody is asked.

    A registry that wants a login gets that of a pull secret of the engine's, else this process's
    own docker configuration's."""
    image = spec.serving.image
    if not spec.watch.image:
        return spec
    if reasons := list(image_violations(policy, by_digest(image, _ANY_DIGEST))):
        raise Refused("; ".join(reasons))
    space = spec.namespace
    keys = KeyRing(pull_secrets(spec.serving.pod), lambda name: cluster.get("Secret", name, space))
    named = by_digest(image, digest_of_image(image, keys))
    return spec.model_copy(update={"serving": spec.serving.model_copy(update={"image": named})})


def standing(hub: Hub, spec: Rollout, state: State, memory: WatchMemory, commit: str) -> Order:
    """How a commit stands to what serves; the revision is the one that is followed. Raises
    OutsideError, also where the hub tells no commits any more, of which one serves: only a person
    says that the same files are from now on known by another name."""
    stable = state.stable
    if stable is None:
        return Order("newer", "nothing serves")
    if stable.model != spec.model.id:
        return Order("newer", f"{stable.model} serves, and the spec names another model")
    found, serves = hub_commit(commit), hub_commit(stable.commit)
    by_files = found.startswith(BY_FILES)
    if by_files and HUB_COMMIT.match(serves):
        raise OutsideError(
            f"hub {hub.endpoint} has no commits of {stable.model} (it answers 404 or 405), and "
            f"what serves is commit {serves}: whether {spec.model.revision} is another version is "
            "not known. It is asked again later; where this hub has none at all, start it by hand "
            "once"
        )
    now = hub.head(spec.model.id, spec.model.revision)
    # what is known by its files was listed by the revision
    head = by_files if now is None else now == found
    if spec.watch.tags is not None and head and stable.commit != commit:
        by_tags = order_of_tags(spec.model.revision, stable.revision)
        if by_tags is not None:
            return by_tags
    log = None
    if found != serves and now is not None:
        log = log_of(hub, spec.model.id, spec.model.revision, until=serves) or []
    return order_of(found, serves, log, seen_before(memory, serves), head=head)
