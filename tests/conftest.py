"""Options of the whole suite."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tasks.base import scrub

# how long an example, or the drawing of one, takes is the machine's matter: by hypothesis' own
# default one that is stopped for 200 ms, while others have the cores, fails as flaky
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# what tests send to processes they start
_SENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def hear_signals() -> None:
    """Programs started from here hear Ctrl-C and the like, whoever started the tests.

    A shell's background job, nohup and some CI runners ignore or block signals, and every child
    inherits it.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SENT)
    for number in _SENT:
        if signal.getsignal(number) is signal.SIG_IGN:
            of_python = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if of_python else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def nothing_held() -> Iterator[None]:
    """A credential that one test holds is hidden in no other: both may write the same word."""
    held, watched = set(scrub._held), list(scrub._watched)
    yield
    with scrub._lock:
        scrub._held.intersection_update(held)
        scrub._watched[:] = watched


@pytest.fixture(autouse=True)
def nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell may name a server, as `rollout up` says: what tests do in their own process is no
    news there."""
    if (people := sys.modules.get("tasks.run.telling.people")) is not None:
        monkeypatch.setattr(people, "emit", lambda notice: None)


def pytest_configure(config: pytest.Config) -> None:
    """Signals, and the mark of tests/cluster."""
    hear_signals()
    config.addinivalue_line(
        "markers", "embedded(why): what only the embedded cluster can be asked, and why"
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """--kubeconfig and --python-image: run tests/cluster/run on a real cluster."""
    group = parser.getgroup("model-rollout")
    group.addoption(
        "--kubeconfig",
        default="",
        help="run the portable cluster tests on the cluster of this kubeconfig",
    )
    group.addoption(
        "--python-image",
        default="python:3.11-slim",
        help="the image that those tests run there",
    )
