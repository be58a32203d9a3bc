"""Checks the interpreter and the pinned libraries, without importing them."""

import importlib.metadata
import logging
import os
import sys
import warnings

_PYTHONS = ((3, 10), (3, 11))
_TENSORFLOW = "2.15."


def check() -> None:
    """Raises an error of one clear sentence where st_keras cannot work.

    Raises:
      ImportError: Python is not 3.10 or 3.11, TensorFlow is missing or not 2.15, or
        `TF_USE_LEGACY_KERAS` asks for a second Keras.
    """
    if sys.version_info[:2] not in _PYTHONS:
        raise ImportError(
            "st_keras needs Python 3.10 or 3.11 (TensorFlow 2.15 has no other that "
            f"tensorflow-addons supports), got {sys.version.split()[0]}: make a new "
            "environment with `python3.11 -m venv .venv`."
        )
    fix = "run `pip install -c constraints.txt -e .` in a fresh environment."
    try:
        version = importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"st_keras needs TensorFlow 2.15, got none: {fix}") from None
    if not version.startswith(_TENSORFLOW):
        raise ImportError(f"st_keras needs TensorFlow 2.15, got {version}: {fix}")
    if os.environ.get("TF_USE_LEGACY_KERAS", "0") not in ("0", "", "False", "false"):
        raise ImportError(
            "`TF_USE_LEGACY_KERAS` must not be set: it puts a second Keras beside the "
            "one of TensorFlow 2.15. Unset it."
        )


def quiet() -> None:
    """Silences what TensorFlow and its relatives print at start; for binaries only."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TFDS_DISABLE_AUTO_UPDATE", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    categories = (FutureWarning, DeprecationWarning)
    for category in categories:
        warnings.filterwarnings("ignore", category=category)
    # Processes that this one starts are binaries too.
    ignored = ",".join(f"ignore::{category.__name__}" for category in categories)
    os.environ.setdefault("PYTHONWARNINGS", ignored)
    warnings.filterwarnings("ignore", message=".*TensorFlow Addons.*")
