"""The rows of the accelerator table, one file a vendor below `vendors`."""

from __future__ import annotations

from tasks.accelerators.vendors.amd import AMD
from tasks.accelerators.vendors.ascend import ASCEND
from tasks.accelerators.vendors.cambricon import CAMBRICON
from tasks.accelerators.vendors.cpu import CPU
from tasks.accelerators.vendors.enflame import ENFLAME
from tasks.accelerators.vendors.hygon import HYGON
from tasks.accelerators.vendors.iluvatar import ILUVATAR
from tasks.accelerators.vendors.kunlunxin import KUNLUNXIN
from tasks.accelerators.vendors.metax import METAX
from tasks.accelerators.vendors.mthreads import MTHREADS
from tasks.accelerators.vendors.nvidia import NVIDIA
from tasks.accelerators.vendors.thead import THEAD

_MAKERS = (HYGON, NVIDIA, AMD, ASCEND)
_MORE = (METAX, MTHREADS, CAMBRICON, ILUVATAR, KUNLUNXIN, ENFLAME, THEAD)
PROFILES = {row.name: row for row in (*_MAKERS, *_MORE, CPU)}
