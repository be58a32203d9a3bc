"""Finds what a glob matches, and folders that only look like globs."""

import glob
import os


def paths(pattern: str, *, recursive: bool = False) -> list[str]:
    """Returns the paths that a glob matches, sorted; `~` is the user's folder.

    Where none does, `[` and the like in the longest folder that there is under this
    very name count as its characters: `runs[1]/*.tfrecord` is found in `runs[1]`.

    Args:
      pattern: The glob.
      recursive: Whether `**` goes through sub-folders.

    Raises:
      ValueError: It is an address.
    """
    check_here(pattern)
    pattern = os.path.expanduser(pattern)
    found = glob.glob(pattern, recursive=recursive)
    if not found:
        folder = pattern
        while folder and not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        literal = glob.escape(folder) + pattern[len(folder) :]
        found = glob.glob(literal, recursive=recursive)
    return sorted(found)


def check_here(path: str) -> None:
    """Refuses the address of a bucket, which is no path.

    Raises:
      ValueError: It is an address.
    """
    if "://" in path:
        raise ValueError(
            f"`{path}` must be a path of this machine. Mount the bucket, as gcsfuse "
            "does, and name the folder."
        )


def files(pattern: str) -> list[str]:
    """Returns the files that a glob matches, sorted; `**` goes through sub-folders.

    A file that symlinks of folders show under several paths is there once, under the
    one with the fewest folders: a link to a folder above would show it 40 times.
    """
    found = [path for path in paths(pattern, recursive=True) if os.path.isfile(path)]
    by_place: dict[tuple[str, str], str] = {}
    for path in sorted(found, key=lambda path: path.count(os.sep)):
        folder, name = os.path.split(path)
        by_place.setdefault((os.path.realpath(folder), name), path)
    return sorted(by_place.values())
