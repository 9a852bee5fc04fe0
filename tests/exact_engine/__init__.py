"""An engine with exactly known times, for tests and for the calibration of the benchmark."""

from tests.exact_engine.laws import Behaviour, Law, Source, Truth, loads
from tests.exact_engine.run import Spawned, in_thread, spawn
from tests.exact_engine.server import ExactEngine, count_tokens

__all__ = [
    "Behaviour",
    "ExactEngine",
    "Law",
    "Source",
    "Spawned",
    "Truth",
    "count_tokens",
    "in_thread",
    "loads",
    "spawn",
]
