"""The peak memory of this process."""

import pathlib
import re
import resource
import sys

_STATUS = pathlib.Path("/proc/self/status")


def peak_memory_bytes() -> int:
    """Returns the peak resident memory of this process so far.

    On Linux `ru_maxrss` includes the parent's memory, which is the child's until the
    child's own program begins. `VmHWM` begins with the program.
    """
    if _STATUS.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB.
