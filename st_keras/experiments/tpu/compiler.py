"""Runs the TPU's compiler on a lowered step, and reads what it says."""

import dataclasses
import json
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from tqdm import tqdm

from st_keras.experiments.tpu import environment
from st_keras.experiments.tpu.chips import Chip

_SCRIPT = pathlib.Path(__file__).with_name("compile_hlo.py")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# As in `Used 20.51G of 15.48G hbm. Exceeded hbm capacity by 5.03G.`, or `the total
# memory required for HLO temporaries (23.06G) exceeds available HBM (15.48G)`.
_SIZE = r"([\d.]+)([KMGT]?)"
_TOO_LARGE = re.compile(rf"Used {_SIZE} of {_SIZE} hbm")
_TOO_LARGE_ALREADY = re.compile(
    rf"HLO temporaries \({_SIZE}\) exceeds available HBM \({_SIZE}\)"
)
_LONGEST_ERROR = 2000  # Characters of it that are kept.
_KILLED = (
    "the compiler was killed, as a system short of memory does; large models take 15 "
    "GB and more: close what else runs, or use a larger machine"
)
_TICK_SECONDS = 1.0  # Between two looks at the compiler.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compiled:
    """What the compiler says of one step."""

    # fits, too large, refused (`error` says why) or no answer (killed, or not within
    # the time).
    verdict: str
    error: str = ""
    compile_seconds: float = 0.0
    # Arguments, outputs, aliased (outputs that take the place of an argument),
    # temporaries, code; empty where it did not compile.
    memory_bytes: dict[str, int] = dataclasses.field(default_factory=dict)
    needed_bytes: float = 0.0  # All of it together...
    is_partial: bool = False  # ...or temporaries alone, which were too large already.
    room_bytes: float = 0.0  # Available to the compiler; 0: it did not say.
    flops: float = 0.0
    traffic_bytes: float = 0.0  # Between the memory and the cores.

    @property
    def fixed_bytes(self) -> float:
        """What does not grow with the images: variables and code; 0: not known."""
        if not self.memory_bytes:
            return 0.0
        return self.needed_bytes - self.memory_bytes["temporaries"]


def compile_step(hlo: bytes, chip: Chip, *, timeout_seconds: float) -> Compiled:
    """Compiles a serialised HLO module for one replica of a chip.

    Raises:
      OSError: The compiler is not available.
    """
    interpreter = environment.python()
    with tempfile.TemporaryDirectory(prefix="st_keras_tpu_") as folder:
        step = pathlib.Path(folder, "step.hlo")
        found = pathlib.Path(folder, "found.json")
        step.write_bytes(hlo)
        options = [f"{name}={value}" for name, value in chip.topology_options.items()]
        command = [interpreter, str(_SCRIPT), str(step), str(found), chip.topology]
        try:
            code, said = _run([*command, *options], timeout_seconds)
        except subprocess.TimeoutExpired:
            return Compiled(verdict="no answer", compile_seconds=timeout_seconds)
        if not found.exists():  # Killed, or the compiler ended the process.
            if code == -signal.SIGKILL:
                return Compiled(verdict="no answer", error=_KILLED)
            said = said.strip()[-_LONGEST_ERROR:]
            return Compiled(verdict="refused", error=f"exit code {code}: {said}")
        return read_answer(json.loads(found.read_text(encoding="utf-8")), chip)


def _run(command: list[str], timeout_seconds: float) -> tuple[int, str]:
    """Runs a command under a clock; returns its exit code and its errors."""
    end = time.monotonic() + timeout_seconds
    with (
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process,
        tqdm(desc="TPU compiler", bar_format="{desc}: {elapsed}") as clock,
    ):
        while True:
            try:
                _, said = process.communicate(timeout=_TICK_SECONDS)
                return process.returncode, said
            except subprocess.TimeoutExpired:
                clock.refresh()
                if time.monotonic() > end:
                    process.kill()
                    raise


def read_answer(found: dict, chip: Chip) -> Compiled:
    """Returns what compile_hlo.py has written as an answer.

    Args:
      found: As the script writes it.
      chip: The chip it was compiled for.
    """
    seconds = found["compile_seconds"]
    if not found["compiles"]:
        error = found["error"][:_LONGEST_ERROR]
        partial = _TOO_LARGE_ALREADY.search(found["error"])
        sizes = partial or _TOO_LARGE.search(found["error"])
        if sizes is None:
            return Compiled(verdict="refused", error=error, compile_seconds=seconds)
        needed, needed_unit, room, room_unit = sizes.groups()
        return Compiled(
            verdict="too large",
            error=sizes.group(0),
            compile_seconds=seconds,
            needed_bytes=float(needed) * _UNITS[needed_unit],
            is_partial=bool(partial),
            room_bytes=float(room) * _UNITS[room_unit],
        )
    memory = found["memory_bytes"]
    needed = (
        memory["arguments"]
        + memory["outputs"]
        - memory["aliased"]
        + memory["temporaries"]
        + memory["code"]
    )
    return Compiled(
        verdict="fits" if needed <= chip.hbm_bytes else "too large",
        compile_seconds=seconds,
        memory_bytes={name: int(value) for name, value in memory.items()},
        needed_bytes=needed,
        flops=found["cost"]["flops"],
        traffic_bytes=found["cost"]["bytes"],
    )
