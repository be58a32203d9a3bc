"""Files that appear under their names when all of them is on the disk."""

import contextlib
import fcntl
import os
import pathlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a file name to write to; left without an error, it becomes `path`.

    What was there before stays until then, and for good where there is an error. The
    folder is made if needed. Two processes or hosts that write the same file do not
    meet: the last one's is whole.

    Args:
      path: The file that is to appear.

    Yields:
      A name beside it that ends in `.tmp`.

    Raises:
      OSError: The file cannot be written.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        yield temporary
        # Or, after a power failure, the name is there and the content is not.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str, *, errors: str = "strict") -> None:
    """Writes a text file in UTF-8.

    Args:
      path: The file.
      text: All of it.
      errors: What is done about half characters, as `str.encode` has it.

    Raises:
      OSError: The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=errors)


@contextlib.contextmanager
def alone(path: str | os.PathLike) -> Iterator[None]:
    """Waits until no other process of this machine is here with the same file.

    A process that is killed lets the next one in.

    Args:
      path: A file to wait at, which is made if needed and has no content.

    Raises:
      OSError: The file cannot be made.
    """
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def claimed(path: str | os.PathLike, what: str) -> Iterator[None]:
    """Is alone with a file, or refuses where another process of this machine is.

    A process that is killed lets the next one in. Where a file system has no locks,
    nothing is refused.

    Args:
      path: A file that stands for what is claimed; it and its folder are made if
        needed, and it has no content.
      what: For the message.

    Raises:
      ValueError: Another process has it.
      OSError: The file cannot be made.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{what} is in use: another process is at work there. Wait until it "
                "has ended, stop it, or choose another."
            ) from None
        except OSError:
            pass
        yield
