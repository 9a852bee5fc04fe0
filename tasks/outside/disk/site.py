"""The site's policy and the working folder: what lies on this machine, and where."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.base.errors import SpecError
from tasks.spec.policy import Policy, parse_policy
from tasks.spec.rollout import Rollout

ENV = "MODEL_ROLLOUT_POLICY"
PLACE = Path("/etc/model-rollout/policy.yaml")


def site_policy() -> Policy:
    """What the site allows; everything where there is no file.

    Raises SpecError for a file that is wrong, cannot be read, or is named and not there: a policy
    that is not understood must not allow everything.
    """
    named = os.environ.get(ENV)
    path = Path(named) if named else PLACE
    try:
        return parse_policy(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        if named:
            raise SpecError([f"{ENV}: there is no file {path}; correct or unset it"]) from error
        return Policy()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SpecError([f"{path}: the site's policy cannot be read ({why})"]) from error


def below_working_folder(file: str) -> bool:
    """Whether a file, links followed, lies below the folder that this process works in."""
    return Path(file).resolve().is_relative_to(Path.cwd().resolve())


def files_outside(spec: Rollout) -> dict[str, str]:
    """The files that a spec names and that lie outside the working folder, by place."""
    named = {"benchmark.workload.file": spec.benchmark.workload.file}
    if spec.quality is not None and spec.quality.questions != "basic":
        named["quality.questions"] = spec.quality.questions
    return {place: file for place, file in named.items() if file and not below_working_folder(file)}


def spec_below(file: str, place: str) -> str:
    """A spec file that a flow is given. Raises SpecError unless it lies below the working folder:
    a parameter must not read any file of the worker."""
    if not below_working_folder(file):
        raise SpecError(
            [
                f"{place}: {file} lies outside the working folder {Path.cwd()}; give the path of a "
                "file below it"
            ]
        )
    return file
