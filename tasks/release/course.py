"""What a course of moves is made of: what was observed, and the moves themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tasks.objects.down import Down
from tasks.objects.labels import RELEASE_LABEL
from tasks.objects.made import apart, made_of, other_image
from tasks.objects.pods import Object, ReadObject, engine_container
from tasks.objects.replicas import available_of, mixed_of, replicas_of, unmet_of
from tasks.release.state import Release, State, with_made

# what a course without moves comes to
NOTHING = "nothing was under way"


@dataclass(frozen=True)
class DeploymentView:
    """One of our Deployments: replicas asked now, replicas it serves with, replicas available.

    stopped: it asks for fewer than it serves with, and we made it so. made: what it is made of.
    mixed: why its pods are not known to be made of that, '' where they are. unmet: replicas that
    only somebody else asks for, and that do not answer.
    """

    name: str
    release: str
    replicas: int
    serves_with: int
    available: int
    stopped: bool = False
    made: str = ""
    mixed: str = ""
    unmet: int = 0

    @property
    def seated(self) -> DeploymentView:
        """It without what somebody else has asked for in vain, or has not got yet."""
        asked, serves = self.replicas - self.unmet, self.serves_with - self.unmet
        return replace(self, replicas=asked, serves_with=serves, unmet=0)

    @property
    def runs(self) -> bool:
        """It has pods, or is about to."""
        return self.replicas > 0 or self.available > 0

    @property
    def whole(self) -> bool:
        """Every replica it serves with is asked for and available."""
        return min(self.replicas, self.available + self.unmet) >= self.serves_with

    @property
    def lent(self) -> bool:
        """Some of its replicas are taken from it, or not given to it yet; the rest run."""
        return self.stopped and self.replicas > 0

    @property
    def steady(self) -> bool:
        """It is whole, but for what we took from it."""
        return self.whole or (self.lent and self.available >= self.replicas)

    @property
    def settled(self) -> bool:
        """It answers with all that we ask it for, unless we made that less than it serves with."""
        return self.available >= self.replicas - self.unmet and not self.stopped


@dataclass(frozen=True)
class Observed:
    """What the cluster holds for one rollout. `serving` is the release in the Service's selector,
    None where it leads to none of ours. lost: there is no Service, or it leads nowhere. absent:
    there is none. bent: the selector asks for more than that release's pods carry, so that it
    chooses none of them. strangers: by release, what carries its labels and is not its own, in
    words: told, and neither counted nor touched. down: what serves does not answer, beyond what a
    start-up takes. ran: by release, imageIDs of its ready pods, where somebody looked. recalled:
    the state is not what the ConfigMap says, which disagrees with the
    Service (tasks.release.memory.recall)."""

    state: State
    serving: str | None
    deployments: dict[str, DeploymentView] = field(default_factory=dict)  # release id -> view
    bent: bool = False
    lost: bool = False
    absent: bool = False
    strangers: dict[str, str] = field(default_factory=dict)
    down: Down | None = None
    ran: Mapping[str, Sequence[str]] = field(default_factory=dict)
    recalled: bool = False

    @property
    def astray(self) -> bool:
        """The Service is gone, or a person led it to what died since."""
        state, view = self.state, self.view(self.serving)
        stable = state.stable.id if state.stable else None
        by_hand = state.phase in ("testing", "held") and self.serving not in (None, stable)
        died = not self.alive(self.serving) and not (view and view.stopped)
        return self.lost or (by_hand and died)

    def unsettled(self) -> str:
        """What is amiss with what serves; '' where it answers with all that it is asked for."""
        view = self.view(self.serving)
        if self.serving is not None and view is None:
            return f"its Service leads to release {self.serving}, which has no Deployment"
        if view is None or view.settled:
            return ""
        if self.down:
            return self.down.why
        answer = f"{view.available} of its {view.serves_with} replica(s) are available"
        return f"{view.name} serves, and {answer}; look at its pods"

    def missed(self, release: str) -> str:
        """Why a release that a rollout served with must not stop: it answers, and what the Service
        leads to does not; '' where it may."""
        state = self.state
        served = {
            item.id for item in (state.stable, state.previous) if item and item != state.candidate
        }
        elsewhere = self.serving is None and not self.lost  # at a person's own pods
        # before a switch it is what serves that comes back, and what holds its seats stops
        early = state.phase in ("idle", "testing", "held", "promoting") and not self.lost
        if release not in served or release == self.serving or elsewhere or early:
            return ""
        if not self.alive(release) or self.alive(self.serving):
            return ""
        return f"{self.serving or 'nothing'}, which the Service of {self.state.name} leads to, not"

    def changed(self, release: str, *, which: bool = True) -> str:
        """Why a Deployment is not what was judged, or served, any more; '' where it is. which: that
        it is the very same object counts as well as its pod template, and what image its pods
        run."""
        view, state = self.view(release), self.state
        if view is None:
            return ""
        other = apart(state.made.get(release, ""), view.made, which=which)
        if other or not which:
            return other
        return other_image(state.ran.get(release, ()), self.ran.get(release, ()))

    def as_it_serves(self) -> State:
        """The state, with what serves noted as it is: that is what a way back leads to. Of what was
        judged what was judged is noted, wherever a person led the Service; of what is being changed
        nothing: its newest pod template has never answered."""
        state, view = self.state, self.view(self.serving)
        if view is None or view.mixed or (state.candidate and state.candidate.id == view.release):
            return state
        return with_made(state, view.release, view.made)

    def view(self, release: str | None) -> DeploymentView | None:
        """The Deployment of a release, None where there is none."""
        return self.deployments.get(release or "")

    def alive(self, release: str | None) -> bool:
        """At least one replica of the release is available."""
        view = self.view(release)
        return view is not None and view.available > 0

    def others(self, *releases: str | None) -> list[DeploymentView]:
        """The Deployments of all other releases, by release."""
        return [v for release, v in sorted(self.deployments.items()) if release not in releases]


@dataclass(frozen=True)
class Room:
    """How many replicas of a release its nodes could take.

    beside: as things are. instead: with the serving release scaled down. replica: what one asks
    for, in words. queue: pods of others that wait for it as well, and may be placed first. owed: to
    which other rollouts seats are, and are not counted. tables: of each node, the seats there with
    none of the serving pods gone, with one, and so on. perhaps: how many more, beside and
    instead, if devices that are asked for by claim, and that nobody can count, are free.
    """

    beside: int
    instead: int
    replica: str
    queue: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()
    tables: tuple[tuple[int, ...], ...] = ()
    perhaps: tuple[int, int] = (0, 0)

    @property
    def most_beside(self) -> int:
        """More find no room for sure: so many may be tried, where nothing is taken for them."""
        return self.beside + self.perhaps[0]

    @property
    def most_instead(self) -> int:
        """More find no room for sure, even with the serving release scaled down."""
        return self.instead + self.perhaps[1]


@dataclass(frozen=True)
class Save:
    """Write the state."""

    state: State


@dataclass(frozen=True)
class PointService:
    """Send the Service's traffic to a release: the one write of a promotion. previous: id of the
    release that is gone back to from there, '' for none. proven: it has passed its soak. The same
    write says both. made: only where its Deployment is made of exactly that; '' where that does not
    matter. ran: only while its ready pods run these images. alone: only while what the Service
    leads to does not answer. least: fewer ready replicas
    are led to only where no more answer now."""

    release: Release
    previous: str = ""
    proven: bool = True
    made: str = ""
    ran: tuple[str, ...] = ()
    alone: bool = False
    least: int = 1


@dataclass(frozen=True)
class Scale:
    """Set a Deployment's replicas, remembering on it what it serves with. What serves keeps as many
    as are ready, or nothing is done. interrupts: also where that stops what serves. lends: it is to
    ask for fewer, and asked for so many when that was decided: nothing is taken from more; 0: what
    we took is given back, and what somebody has set since stays. of: what it serves with from now
    on, whatever its rollout asked for; 0: as it does."""

    deployment: str
    replicas: int
    interrupts: bool = False
    lends: int = 0
    of: int = 0


@dataclass(frozen=True)
class AwaitReady:
    """Wait until a Deployment is ready."""

    deployment: str


@dataclass(frozen=True)
class AwaitFreed:
    """Wait until the pods of a Deployment that was scaled down are gone but for `keep`, as long as
    they may take to end: what they held is free then. Whoever needs it judges what is not gone in
    time."""

    deployment: str
    keep: int = 0


@dataclass(frozen=True)
class Soak:
    """Watch the promoted release for a while; fails when it does, or when nobody could look."""

    release: Release


@dataclass(frozen=True)
class Drain:
    """Wait until the Service leads to exactly the ready pods of a release, and on until what served
    before has ended what it began, or `seconds` are over (see `draining`)."""

    release: str
    seconds: float


@dataclass(frozen=True)
class Remove:
    """Delete a Deployment and wait until its pods are gone."""

    deployment: str


@dataclass(frozen=True)
class RemoveCandidateService:
    """Delete the Service through which the candidate was reached."""


Move = (
    Save
    | PointService
    | Scale
    | AwaitReady
    | AwaitFreed
    | Soak
    | Drain
    | Remove
    | RemoveCandidateService
)


@dataclass(frozen=True)
class Course:
    """Moves in order, and one sentence for a person. unless: how what serves is judged where it is
    not proven that another could take its place, and it therefore serves on: 'fail' or
    'inconclusive'; '' where the course is refused then. past: who waits for what it frees, and a
    person passes all the same."""

    moves: tuple[Move, ...]
    sentence: str
    unless: str = ""
    past: tuple[str, ...] = ()


def views_of(
    deployments: Iterable[ReadObject], noted: Mapping[str, str] | None = None
) -> dict[str, DeploymentView]:
    """The Deployments of a rollout by release id. noted: by release, what they were made of."""
    out = {}
    for item in deployments:
        meta, found = item["metadata"], replicas_of(item)
        release = meta["labels"].get(RELEASE_LABEL, "")
        out[release] = DeploymentView(
            meta["name"],
            release,
            found.asked,
            found.serves_with,
            available_of(item),
            found.stopped,
            made_of(item),
            mixed_of(item, (noted or {}).get(release, "")),
            unmet_of(item),
        )
    return out


def release_on(deploy: Object, ident: str) -> Release:
    """A release as its Deployment tells of it; what stands nowhere is ''."""
    meta = deploy["metadata"]
    marks = meta.get("annotations") or {}
    engine = engine_container(deploy["spec"]["template"]["spec"]) or {}
    named = [arg for arg in engine.get("args") or [] if arg.startswith("--served-model-name=")]
    model = marks.get("model-rollout/model", "")
    return Release(
        id=ident,
        deployment=meta["name"],
        model=model,
        revision="",
        commit=marks.get("model-rollout/commit", ""),
        digest=marks.get("model-rollout/manifest", ""),
        image=str(engine.get("image", "")),
        served_name=named[-1].partition("=")[2] if named else model,
        replicas=replicas_of(deploy).serves_with,
    )
