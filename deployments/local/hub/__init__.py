"""A ModelScope-compatible file server over a folder of models, for demos and tests.

A stand-in: it answers the calls the real client makes, in the shapes the client reads (measured
with modelscope_hub 0.5.1), and misbehaves on demand. It is not the hub.
"""

from deployments.local.hub.faults import Fault
from deployments.local.hub.repo import head, publish, tag
from deployments.local.hub.server import LocalHub

__all__ = ["Fault", "LocalHub", "head", "publish", "tag"]
