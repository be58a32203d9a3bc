"""Runs a tool's main so that a user's mistake is one line and not a traceback.

Imports no TensorFlow: `--help` and a mistyped flag answer at once.
"""

import sys
from collections.abc import Callable, Sequence

from absl import app, logging

_INTERRUPTED = 130  # What shells report after Ctrl-C.


def run(main: Callable[[list[str]], None]) -> None:
    """Parses the flags, runs `main(argv)` and ends the process.

    A ValueError, OSError or ImportError becomes `error: ...` on stderr and exit code
    1. `--verbosity=1` prints the traceback too.
    """
    app.run(lambda argv: _guarded(main, argv))


def numbers(flag: str, texts: Sequence[str]) -> list[float]:
    """Returns the numbers of a flag that is a list, such as `--fractions 1,5`.

    Raises:
      ValueError: One is no number.
    """
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise ValueError(
            f"`--{flag}` must be numbers with commas between, got {','.join(texts)}."
        ) from None


def _guarded(main: Callable[[list[str]], None], argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Not a flag: {' '.join(argv[1:])}")
    try:
        main(argv)
    except (ValueError, OSError, ImportError) as error:
        logging.debug("Traceback of the error:", exc_info=True)
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)
