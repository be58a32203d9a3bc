"""What a process says of its own memory."""

import subprocess
import sys

from st_keras.runtime.peak_memory import peak_memory_bytes

_MB = 2**20
_CHILD = """
from st_keras.runtime.peak_memory import peak_memory_bytes
kept = bytearray(b"1" * (100 * 2**20))
print(peak_memory_bytes())
"""


def test_the_peak_is_of_the_process_and_not_of_its_parent():
    kept = bytearray(b"1" * (800 * _MB))  # More than the child's.
    found = subprocess.run(
        [sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True
    )
    assert peak_memory_bytes() > len(kept)
    assert 100 * _MB < int(found.stdout) < 500 * _MB
