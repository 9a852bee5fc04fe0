"""How many replicas of what serves give their seats to a candidate, while the others serve on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tasks.base.errors import StepFailed
from tasks.release.course import AwaitFreed, AwaitReady, DeploymentView, Move, Scale


@dataclass(frozen=True)
class Lend:
    """What serves keeps `keep` of the `of` replicas it serves with; the candidate is measured with
    `tested`. Once it passed, seats change over until what serves has `stays` and the candidate
    `comes`; then the Service is moved, and the candidate gets the rest of its own."""

    keep: int
    of: int
    tested: int
    stays: int
    comes: int

    @property
    def least(self) -> int:
        """Fewest replicas that the Service leads to meanwhile."""
        return min(self.stays, self.comes)


def decide_lend(
    tables: Sequence[Sequence[int]],
    serving: DeploymentView | None,
    replicas: int,
    *,
    as_many: bool = False,
    whole: int = 0,
) -> Lend | None:
    """The least that makes room for one replica of the candidate; None where nothing of what serves
    would be left, or not all of it is ready.

    tables: of each node, the seats there with none of the serving pods gone, with one, and so on.
    replicas: of the candidate, whole: with how many it serves, where that is more. as_many: it is
    measured against what serves, with no more than that keeps.
    """
    loading = serving is not None and serving.unmet and _placed(tables) > serving.seated.replicas
    serving = serving and serving.seated
    if serving is None or not serving.replicas or serving.available < serving.replicas or loading:
        return None
    worst = _worst(tables, serving.replicas)
    for given in range(serving.replicas):
        keep = serving.replicas - given
        if worst[given]:
            tested = min(worst[given], replicas, *([keep] if as_many else []))
            path = _path(worst[given:], keep, tested, serving.serves_with, whole or replicas)
            return Lend(keep, serving.serves_with, tested, *path[-1])
    return None


def exchange(
    tables: Sequence[Sequence[int]] | None, serving: DeploymentView, other: DeploymentView
) -> list[tuple[int, int]]:
    """How seats change over until both have as much as can be at the same time: what the first is
    to ask for and then the other, from as it is to where the Service is moved.

    tables: see decide_lend, in which what the other has counts as free; None: nobody could look,
    then one seat is taken to be as good as another, and who is wrong about that waits in vain.
    """
    serving, other = serving.seated, other.seated
    keep, has = serving.replicas, other.replicas
    worst = [has + given for given in range(keep)] if tables is None else _worst(tables, keep)
    return _path(worst, keep, has, serving.serves_with, other.serves_with)


def _path(worst: Sequence[int], keep: int, has: int, of: int, whole: int) -> list[tuple[int, int]]:
    """worst: by how many more pods go, seats for the other. of, whole: what the two serve with."""
    every = [
        (keep - given, max(has, min(whole, seats))) for given, seats in enumerate(worst[:keep])
    ] or [(keep, has)]

    def both(step: tuple[int, int]) -> tuple[int, int]:
        stays, comes = step
        return min(step), min(stays * whole, comes * of)  # replicas, then the shares of each

    return every[: every.index(max(every, key=both)) + 1]


def exchange_moves(
    serving: DeploymentView,
    other: DeploymentView,
    path: Sequence[tuple[int, int]],
    of: int = 0,
) -> list[Move]:
    """One seat after the other: its pod has ended its requests and is gone before the replica that
    takes its seat is asked for, and that is ready before the next one goes. What only somebody
    else asks for, and does not answer, is given up first: it would take what is freed. of: see
    Scale."""
    moves: list[Move] = []
    keeps, has, asked = path[0][0], other.replicas, serving.replicas
    if serving.unmet and (len(path) > 1 or path[0][1] > has):
        keeps = serving.replicas
    for keep, takes in path:
        if keep > serving.available and takes <= has:
            continue  # it goes there at once: what does not answer may have no seat to give
        if keep < keeps:
            moves += [Scale(serving.name, keep, lends=asked), AwaitFreed(serving.name, keep)]
            asked = keep
        if takes > has:
            moves += [Scale(other.name, takes, of=of), AwaitReady(other.name)]
        keeps, has = keep, max(has, takes)
    return moves


def _worst(tables: Sequence[Sequence[int]], pods: int) -> list[int]:
    """By how many pods go, the seats there are at least: which ones go is not ours to choose. Those
    beyond `pods` are on their way already."""
    elsewhere = pods - _placed(tables)
    worst = [0] * (max(elsewhere, 0) + 1)
    for table in tables:
        assert all(a <= b for a, b in pairwise(table))
        worst = [
            min(
                worst[gone - here] + seats
                for here, seats in enumerate(table)
                if 0 <= gone - here < len(worst)
            )
            for gone in range(len(worst) + len(table) - 1)
        ]
    return worst[max(-elsewhere, 0) :]


def _placed(tables: Sequence[Sequence[int]]) -> int:
    """Pods of what serves that have a seat."""
    return sum(len(table) - 1 for table in tables)


def freed(tables: Sequence[Sequence[int]], serving: DeploymentView, keep: int) -> int:
    """The seats there are at least, once what serves has `keep` replicas. tables: see
    decide_lend."""
    serving = serving.seated
    return _worst(tables, serving.replicas)[max(0, serving.replicas - keep)]


def lent_moves(serving: DeploymentView | None, lend: Lend) -> list[Move]:
    """Take its replicas from what serves. Raises StepFailed where it is not as it was planned."""
    unmet, asked = (serving.unmet, serving.replicas) if serving else (0, 0)
    serving = serving and serving.seated
    ready = f"{serving.available} of {serving.replicas}" if serving else "none"
    if (
        serving is None
        or serving.serves_with != lend.of
        or serving.available < min(serving.replicas, lend.keep)
        or not 1 <= lend.keep <= serving.replicas
    ):
        raise StepFailed(
            f"nothing was taken from what serves: it was to keep {lend.keep} of {lend.of} replicas "
            f"and has {ready} ready; look at its pods, or run the rollout again"
        )
    moves: list[Move] = []
    if serving.replicas > lend.keep or unmet:  # what has no seat would take the first one freed
        if serving.available < serving.replicas:  # what is not ready may hold no seat to be freed
            raise StepFailed(
                f"nothing was taken from {serving.name}: {ready} of its replicas are ready; look "
                "at its pods, then run the rollout again"
            )
        moves.append(Scale(serving.name, lend.keep, lends=asked))
    # also where it was scaled before: a pod may be ending still
    return [*moves, AwaitFreed(serving.name, lend.keep)]
