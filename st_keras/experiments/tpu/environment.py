"""The Python environment that has the TPU's compiler, made when it is first needed.

It is separate from that of st_keras: JAX needs NumPy 2, TensorFlow 2.15 an older one.
pins.txt lists its packages; they take about 1.3 GB on the disk.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from absl import logging

PINS = pathlib.Path(__file__).with_name("pins.txt")
VARIABLE = "ST_KERAS_TPU_COMPILER"  # Names another folder for the environment.
_PYTHONS = ("python3.11", "python3.12", "python3.13")
_OLDEST = (3, 11)
_READY = ".ready"
_SECONDS = 1800.0


def folder() -> pathlib.Path:
    """Returns where the environment is or will be; other pins have another one."""
    named = os.environ.get(VARIABLE)
    if named:
        return pathlib.Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(cache).expanduser() / "st_keras" / f"tpu_compiler_{_digest()}"


def versions() -> dict[str, str]:
    """Returns the pinned version of each package."""
    lines = [line.split("#")[0].strip() for line in PINS.read_text().splitlines()]
    return dict(line.split("==", 1) for line in lines if line)


def is_ready() -> bool:
    """Whether the environment was made completely, with these pins."""
    ready = folder() / _READY
    return ready.exists() and ready.read_text(encoding="utf-8") == _digest()


def python() -> str:
    """Returns the environment's interpreter; makes the environment if it is not there.

    Raises:
      OSError: It cannot be made: no Python that JAX runs on, no network, no disk space,
        or no packages for this machine.
    """
    place = folder()
    interpreter = place / "bin" / "python"
    if is_ready():
        return str(interpreter)
    logging.warning("%s: installing the TPU's compiler, once; about 1.3 GB", place)
    # An attempt that was killed is continued, not deleted: somebody may have named the
    # folder by mistake.
    _run([_base_python(), "-m", "venv", str(place)], place)
    install = [str(interpreter), "-m", "pip", "install", "--quiet", "-r", str(PINS)]
    _run([*install, "--disable-pip-version-check"], place)
    (place / _READY).write_text(_digest(), encoding="utf-8")
    return str(interpreter)


def _digest() -> str:
    return hashlib.sha256(PINS.read_bytes()).hexdigest()[:8]


def _base_python() -> str:
    if sys.version_info[:2] >= _OLDEST:
        return sys.executable
    for name in _PYTHONS:
        if path := shutil.which(name):
            return path
    raise OSError(
        "The TPU's compiler needs Python 3.11 or newer for an environment of its own, "
        f"found none of {', '.join(_PYTHONS)}: install one of them; st_keras itself "
        "may stay on 3.10."
    )


def _run(command: list[str], place: pathlib.Path) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_SECONDS
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise OSError(
            f"The TPU's compiler is not available: `{' '.join(command)}` failed with "
            f"{said[-1] if said else error!r}. It takes a network that reaches the "
            f"Python package index, Linux on x86-64 and 1.3 GB in {place.parent} "
            f"(`{VARIABLE}` names another folder). Everything else of st_keras works "
            "without it."
        ) from None
