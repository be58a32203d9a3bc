"""Runs a tool's main so that a user's mistake is one line and not a traceback.

Imports no TensorFlow: `--help` and a mistyped flag answer at once.
"""

import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

_HELP = ("--help", "-help", "-h", "-?")
_INTERRUPTED = 130  # What shells report after Ctrl-C.


def run(main: Callable[[list[str]], None], *, commands: Sequence[str] = ()) -> None:
    """Parses the flags, runs `main(argv)` and ends the process.

    A ValueError, OSError, ImportError or ArithmeticError becomes `error: ...` on
    stderr and exit code 1. `--verbosity=1` prints the traceback too, `--verbosity=0`
    what the library logs.

    Args:
      main: Gets the name of the program and, where there are commands, one of them.
      commands: Exactly one of them must stand on the command line.
    """
    app.run(lambda argv: _guarded(main, argv, commands), flags_parser=_parse)


def define_device_flags() -> Callable[[], dict[str, str]]:
    """Defines --strategy and --tpu for tools that run a trained model.

    Returns:
      What gives their values by the names that functions of the library have for them.
    """
    strategy = flags.DEFINE_enum(
        "strategy",
        "one_device",
        ["one_device", "mirrored", "tpu"],
        "Devices to run on; mirrored: all GPUs.",
    )
    tpu = flags.DEFINE_string("tpu", "", "Name or address; `local` on a TPU VM.")
    return lambda: {"strategy": strategy.value, "tpu": tpu.value}


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


def whole_range(flag: str, text: str) -> tuple[int, int] | None:
    """Returns both ends of a flag such as `--shard_range 0:64`.

    Args:
      flag: Its name.
      text: What it is set to; nothing gives None.

    Raises:
      ValueError: They are not two whole numbers.
    """
    if not text:
        return None
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal()):
        raise ValueError(f"`--{flag}` must be a range such as 0:64, got {text}.")
    return int(first), int(last)


def image_size_px(flag: str, texts: Sequence[str]) -> tuple[int, int] | None:
    """Returns height and width of a flag such as `--image_size 640,1024`.

    Args:
      flag: Its name.
      texts: What stands between its commas; nothing gives None.

    Raises:
      ValueError: They are not two whole numbers.
    """
    sides = numbers(flag, texts)
    if not sides:
        return None
    if len(sides) != 2 or not all(side.is_integer() for side in sides):
        raise ValueError(
            f"`--{flag}` must be height and width such as 640,1024, got "
            f"{','.join(texts)}."
        )
    return int(sides[0]), int(sides[1])


def _parse(argv: list[str]) -> list[str]:
    if any(word in _HELP for word in argv[1:]):
        # absl would exit with 1, as if asking were a mistake.
        app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
    rest = app.parse_flags_with_usage(argv)
    # Otherwise absl logs from INFO on, between the lines of the progress bars.
    flags.FLAGS["verbosity"].using_default_value = False
    return rest


def _user_errors() -> tuple[type[Exception], ...]:
    """Returns the errors that are told in a line; TensorFlow's if it is loaded."""
    errors = (ValueError, OSError, ImportError, ArithmeticError)
    tensorflow = sys.modules.get("tensorflow")
    return errors + ((tensorflow.errors.OpError,) if tensorflow else ())


def _guarded(
    main: Callable[[list[str]], None], argv: list[str], commands: Sequence[str]
) -> None:
    if commands and (len(argv) < 2 or argv[1] not in commands):
        raise app.UsageError(f"Say what to do: {', '.join(commands)}.")
    rest = argv[2:] if commands else argv[1:]
    if rest:
        raise app.UsageError(f"Not a flag: {' '.join(rest)}")
    try:
        main(argv)
    except Exception as error:
        if not isinstance(error, _user_errors()):
            raise
        logging.debug("Traceback of the error:", exc_info=True)
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"error: {message}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)
