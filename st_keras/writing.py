"""Files that get their names only once they are complete on the disk."""

import contextlib
import errno
import fcntl
import os
import pathlib
import socket
import time
from collections.abc import Iterator

from absl import logging

_FULL = (errno.ENOSPC, errno.EDQUOT)
_ABANDONED_S = 3600.0


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary file name, renamed to `path` on leaving without an error.

    An earlier file stays until then, and for good after an error. The folder is made
    if needed. Two processes or hosts may write the same file at once: that of the last
    one remains, whole.

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
        # Otherwise a power failure could leave the name without the content.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        # A full disk does not say where it is full.
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def remove_abandoned(folder: pathlib.Path, pattern: str) -> None:
    """Deletes temporary files of `replacing` whose processes have been killed.

    Those are files of this host whose process is gone, and files, of any host, that
    nobody has written to for an hour.

    Args:
      folder: Where they are.
      pattern: Of their names.
    """
    for path in folder.glob(pattern):
        name, _, process = path.name.removesuffix(".tmp").rpartition("-")
        is_gone = name.endswith(f".{socket.gethostname()}") and not _is_running(process)
        with contextlib.suppress(FileNotFoundError):  # Its process has renamed it.
            if is_gone or time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # Of another user.
        return True
    return True


def write_text(path: str | os.PathLike, text: str, *, errors: str = "strict") -> None:
    """Writes a text file in UTF-8.

    Args:
      path: The file.
      text: All of it.
      errors: How to encode half characters, as in `str.encode`.

    Raises:
      OSError: The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=errors)


@contextlib.contextmanager
def alone(path: str | os.PathLike) -> Iterator[None]:
    """Waits until no other process of this machine holds the lock on a file.

    A process that is killed releases it. On a file system without locks, which is
    logged, nobody waits.

    Args:
      path: The lock file; it is made if needed and has no content.

    Raises:
      OSError: The file cannot be made.
    """
    with open(path, "a", encoding="utf-8") as file:
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.warning("%s: waiting for the process that holds it", path)
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            logging.warning(
                "%s: cannot be locked (%s); start no second process with this folder",
                path,
                error.strerror,
            )
        yield


@contextlib.contextmanager
def claimed(path: str | os.PathLike, what: str) -> Iterator[None]:
    """Locks a file, or refuses if another process of this machine holds the lock.

    A process that is killed releases it. On a file system without locks, nothing is
    refused.

    Args:
      path: Lock file of what is claimed; it and its folder are made if needed, and it
        has no content.
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
