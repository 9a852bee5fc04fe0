"""What a rollout finds before it changes anything, for a spec."""

from __future__ import annotations

from tasks.accelerators.profiles import profile
from tasks.release.moves import Observed
from tasks.release.state import State
from tasks.render.devices import pod_needs
from tasks.render.release import release_of
from tasks.run.findings import Survey
from tasks.spec.rollout import Rollout
from tasks.weights.manifest import FileEntry, build
from tests.support.update_golden import RESOURCES

FILES = [FileEntry("config.json", 2, "0" * 64)]


def survey(spec: Rollout) -> Survey:
    row = profile(spec.nodes.accelerator)
    needs, manifest = (
        pod_needs(row, RESOURCES[row.name]),
        build(spec.model.id, "master", "c" * 40, FILES),
    )
    release = release_of(spec, manifest.commit, manifest.digest, needs)
    seen = Observed(State(spec.name), None)
    return Survey(spec, row, manifest, None, seen, (), "", needs, release, None)
