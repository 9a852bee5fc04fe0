"""Whether a Service may be led to a release: the last line of defence, whatever was decided, and
whatever it leads to, a person's own pods too. It goes by the pods that its selector chooses.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.objects.made import apart, other_image
from tasks.objects.pods import ReadObject, image_digests
from tasks.release.course import DeploymentView, PointService


def not_led(
    move: PointService,
    view: DeploymentView | None,
    now: Sequence[ReadObject],
    then: Sequence[ReadObject],
    *,
    named: bool,
    by_hand: bool,
) -> str:
    """Why it stays as it is, of the release's Deployment; '' where it may be led there.

    view: of that release. now: the ready pods that its selector chooses as it is; then: those that
    it would choose. named: it names that release already. by_hand: a person led it to their own.
    """
    if named:
        return "would answer with no pod there, and some do now" if now and not then else ""
    if view is None or not view.available:
        return "has no ready replica"
    if other := apart(move.made, view.made) or other_image(move.ran, image_digests(then)):
        return f"is not what was decided for: {other}"
    if move.alone and (now or by_hand):
        return "is not what served before, and is not proven"
    if not then:
        return "has no ready pod that it would choose"
    if len(then) < min(move.least, len(now)):
        return f"has {len(then)} of {min(move.least, len(now))} replicas ready"
    return ""
