"""Runs a tool's main so that a user's mistake is one line and not a traceback.

Imports no TensorFlow: `--help` and a mistyped flag answer at once.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence

from absl import app, flags, logging

# Flags defined here belong to the tool that asks for them: its help lists them.
flags.disclaim_key_flags()
_HELP = ("--help", "-help", "-h", "-?")
_OUTPUTS = ("workdir", "output", "json")
_INTERRUPTED = 130  # What shells report after Ctrl-C.


def run(main: Callable[[list[str]], None], *, commands: Sequence[str] = ()) -> None:
    """Parses the flags, runs `main(argv)` and ends the process.

    A ValueError, OSError, ImportError or ArithmeticError becomes `error: ...` on
    stderr and exit code 1. `--verbosity=1` prints the traceback too, `--verbosity=0`
    what the library logs.

    Args:
      main: Gets the name of the program and, where there are commands, one of them.
      commands: Exactly one of them must be on the command line.
    """
    app.run(lambda argv: _guarded(main, argv, commands), flags_parser=_parse)


def define_device_flags(*, hosts: bool = False) -> Callable[[], dict[str, str]]:
    """Defines --strategy and --tpu for tools that run a trained model.

    Args:
      hosts: Whether several hosts can share the work.

    Returns:
      A function that returns their values, named as the library's arguments.
    """
    strategy, tpu = _define_devices("one_device", "", hosts=hosts)
    return lambda: {
        "strategy": "tpu" if _is_tpu_alone(strategy, tpu) else strategy.value,
        "tpu": tpu.value,
    }


def define_device_overrides(*, hosts: bool = True) -> Callable[[], list[str]]:
    """Defines the same flags for tools that are given a config.

    Args:
      hosts: Whether several hosts can share the work.

    Returns:
      A function that returns the flags that are set, as overrides of `runtime`.
    """
    strategy, tpu = _define_devices(None, None, hosts=hosts)

    def overrides():
        chosen = "tpu" if _is_tpu_alone(strategy, tpu) else strategy.value
        # A config may name a TPU, which no other strategy accepts.
        name = "" if tpu.value is None and chosen not in (None, "tpu") else tpu.value
        values = {"strategy": chosen, "tpu": name}
        return [f"runtime.{k}={v}" for k, v in values.items() if v is not None]

    return overrides


def numbers(flag: str, texts: Sequence[str]) -> list[float]:
    """Returns the numbers of a flag that is a list, such as `--fractions 1,5`.

    Raises:
      ValueError: One is not a number.
    """
    try:
        return [float(text) for text in texts]
    except ValueError:
        raise ValueError(
            f"`--{flag}` must be numbers with commas between, got {','.join(texts)}."
        ) from None


def whole_numbers(flag: str, texts: Sequence[str]) -> list[int]:
    """Returns the whole numbers of a flag that is a list, such as `--seeds 0,1`.

    Raises:
      ValueError: One is not a whole number.
    """
    found = numbers(flag, texts)
    if any(number != int(number) for number in found):
        raise ValueError(f"`--{flag}` must be whole numbers, got {','.join(texts)}.")
    return [int(number) for number in found]


def whole_range(flag: str, text: str) -> tuple[int, int] | None:
    """Returns both ends of a flag such as `--shard_range 0:64`.

    Args:
      flag: Its name.
      text: Its value; an empty one gives None.

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
      texts: Its values, split at the commas; none give None.

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


def _define_devices(strategy: str | None, tpu: str | None, *, hosts: bool) -> tuple:
    choices = ["one_device", "mirrored", *["multi_worker"] * hosts, "tpu"]
    what = "Devices to run on; mirrored: all GPUs"
    if hosts:
        what += "; multi_worker: the hosts of TF_CONFIG"
    if strategy is None:
        what += "; not given: as the config says"
    return (
        flags.DEFINE_enum("strategy", strategy, choices, f"{what}."),
        flags.DEFINE_string("tpu", tpu, "Name or address; `local` on a TPU VM."),
    )


def _is_tpu_alone(strategy, tpu) -> bool:
    """Whether a TPU is named and no strategy: the TPU then implies it."""
    return bool(tpu.value) and not strategy.present


def _parse(argv: list[str]) -> list[str]:
    if any(word in _HELP for word in argv[1:]):
        # absl would exit with 1, as if asking were a mistake.
        app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
    rest = app.parse_flags_with_usage(argv)
    # Otherwise absl logs INFO and above, between the lines of the progress bars.
    flags.FLAGS["verbosity"].using_default_value = False
    for flag in map(flags.FLAGS.__getitem__, flags.FLAGS):
        # A shell leaves the `~` of `--workdir=~/runs` as it is.
        if isinstance(flag.value, str) and flag.value.startswith("~"):
            flag.value = os.path.expanduser(flag.value)
    return rest


def _check_outputs() -> None:
    """Refuses a bucket, whose address would become the name of a local folder."""
    for name in _OUTPUTS:
        value = flags.FLAGS[name].value if name in flags.FLAGS else None
        if value and "://" in value:
            raise ValueError(
                f"`--{name}` must be a path of this machine, got {value}. Mount the "
                "bucket, as gcsfuse does, and name the folder."
            )


def _user_errors() -> tuple[type[Exception], ...]:
    """Returns the errors reported in one line; TensorFlow's too if it is loaded."""
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
        hint = " Quote a glob, or the shell fills it in." * os.path.exists(rest[0])
        raise app.UsageError(f"Not a flag: {' '.join(rest)}.{hint}")
    try:
        _check_outputs()
        main(argv)
    except Exception as error:
        if not isinstance(error, _user_errors()):
            _leave_hosts(1, traceback.format_exc())
            raise
        logging.debug("Traceback of the error:", exc_info=True)
        message = " ".join(str(error).split()) or type(error).__name__
        _exit(1, f"error: {message}")
    except KeyboardInterrupt:
        _exit(_INTERRUPTED, "error: interrupted")
    _leave_hosts(0)


def _exit(code: int, message: str) -> None:
    _leave_hosts(code, f"{message}\n")
    print(message, file=sys.stderr)
    sys.exit(code)


def _leave_hosts(code: int, message: str = "") -> None:
    """Ends the process at once if it is one of several hosts that work together.

    Otherwise TensorFlow could wait for ever for hosts that have already ended.
    """
    hosts = sys.modules.get("st_keras.runtime.hosts")
    if hosts and hosts.is_connected():
        sys.stderr.write(message)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
