"""What people are told of a rollout without asking: the event of each moment, its words, and the
automations that send them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tasks.base.scrub import scrub_text
from tasks.service.moments import Moment
from tasks.service.names import ModelKey
from tasks.service.wanted import CRASHED, NEW, UNBEGUN, resource_of

EVENTS = "model-rollout.rollout."
# a person is needed: given up on a version, or a hub that fails again and again
TROUBLE = "model-rollout.watch-trouble"
TEST = "model-rollout.notice-test"
BLOCK = "model-rollout-notices"  # type and name of the block that knows the addresses
TOLD: Mapping[Moment, str] = {
    "started": "started",
    "needs-approval": "needs approval",
    "promoted": "promoted",
    "rejected": "rejected",
    "rolled-back": "rolled back",
    "broken": "broken",
    "missed": "missing its targets",
    "earned": "meeting its targets again",
}
_LONGEST = 1200  # letters of a sentence; the report has all of it
# a flow run's page, where the server has one
_RUN = "{% if flow_run %}\nrun: {{ flow_run|ui_url }}{% endif %}"


@dataclass(frozen=True)
class Notice:
    """What is told of one moment. sentence: the rollout's own, as the Kubernetes Event has it.

    key: of the model; without a namespace, the file of a spec that cannot be read. rollout: id of
    the run. met, missed: targets, in words. report: its address; '' for none. plan: digest of the
    plan that it was tested under.
    """

    key: ModelKey
    moment: Moment
    sentence: str
    rollout: str = ""
    deployment: str = ""
    release: str = ""
    model: str = ""
    revision: str = ""
    commit: str = ""
    met: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    who: str = ""
    why: str = ""
    plan: str = ""
    report: str = ""

    @property
    def event(self) -> str:
        """The Prefect event's name."""
        return EVENTS + self.moment

    @property
    def resource(self) -> dict[str, str]:
        """What the event is about."""
        return {
            "prefect.resource.id": resource_of(self.key),
            "prefect.resource.name": self.key[1],
            "model-rollout.model": self.model,
        }

    @property
    def title(self) -> str:
        """One line. It begins with a word that a channel's filter can be set to."""
        return f"rollout {'/'.join(filter(None, self.key))}: {TOLD.get(self.moment, self.moment)}"

    @property
    def text(self) -> str:
        """The rest: what happened first, the link last."""
        said = scrub_text(self.sentence)
        said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
        what = f"{self.model} @ {self.revision}" if self.revision else self.model
        release = ", ".join(filter(None, (self.deployment, f"commit {self.commit[:12]}", what)))
        by = f"{self.who} ({self.why})" if self.why else self.who
        lines = (
            said,
            *(f"missed: {item}" for item in self.missed),
            f"met: {'; '.join(self.met)}" if self.met else "",
            f"release: {release}" if self.commit else "",
            f"rollout: {self.rollout}" if self.rollout else "",
            f"started by: {by}" if by else "",
            f"report: {self.report}" if self.report else "",
        )
        # what an engine or a hub says must not look like a line of ours
        return "\n".join("\n  ".join(line.splitlines()) for line in lines if line)

    @property
    def payload(self) -> dict[str, Any]:
        """Of the event: its parts, and the words of a message."""
        space, name = self.key
        return {
            "moment": self.moment,
            "namespace": space,
            "name": name,
            "rollout": self.rollout,
            "release": self.release,
            "deployment": self.deployment,
            "model": self.model,
            "revision": self.revision,
            "commit": self.commit,
            "sentence": scrub_text(self.sentence),
            "met": list(self.met),
            "missed": list(self.missed),
            "who": self.who,
            "why": self.why,
            "plan": self.plan,
            "report": self.report,
            "title": self.title,
            "text": self.text,
        }


def automations(block: str) -> list[dict[str, Any]]:
    """The automations that tell, one a moment: each may be switched off by itself. block: id of
    the block document that knows the addresses."""
    by_moment = [
        _automation(
            block,
            f"notice: {words}",
            f"Tells people of every rollout that is {words}."
            if moment != "needs-approval"
            else "Tells people of every rollout that waits for a person.",
            [EVENTS + moment],
            "{{ event.payload.title }}",
            "{{ event.payload.text }}" + _RUN,
        )
        for moment, words in TOLD.items()
    ]
    return [
        *by_moment,
        _automation(
            block,
            "notice: not watched",
            "Tells people of every model that the watcher cannot look after any more.",
            [TROUBLE],
            "rollout {{ event.resource.name }}: the watcher needs a person",
            "{{ event.payload.said }}" + _RUN,
        ),
        _automation(
            block,
            "notice: not done",
            "Tells people of every event that was to start something, and did not.",
            ["prefect.automation.action.failed"],
            "rollout: the automation '{{ event.resource.name }}' failed",
            "{{ event.payload.reason }}",
            # not of silences: a last heartbeat may come after the end, and is no trouble
            {"prefect.resource.name": [f"{NEW}*", CRASHED, UNBEGUN]},
        ),
        _automation(
            block,
            "notice: a test",
            "Tells people what `rollout notify` says.",
            [TEST],
            "{{ event.payload.title }}",
            "{{ event.payload.text }}",
        ),
    ]


def _automation(
    block: str,
    name: str,
    about: str,
    expect: Iterable[str],
    subject: str,
    body: str,
    match: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    return {
        "name": name,
        "description": about,
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "expect": list(expect),
            **({"match": {key: list(values) for key, values in match.items()}} if match else {}),
            "threshold": 1,
            "within": 0,
        },
        "actions": [
            {
                "type": "send-notification",
                "block_document_id": block,
                "subject": subject,
                "body": body,
            }
        ],
    }
