"""Files of image ids: which pictures are labelled, which are not, which are for tests.

An id a line, under a line that says of which pictures they are:

    # sha256:0a1b2c3d4e5f images:2 5 % of data/voc/train/*.tfrecord, seed 0
    000012
    000047
"""

import collections
import hashlib
import itertools
import os
import pathlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from st_keras import writing
from st_keras.data import dataset_info, record_labels

_HEADER = re.compile(r"# sha256:([0-9a-f]+) images:(\d+)\b")
_COMMENT = "# "
_DIGEST_DIGITS = 12
_SHOWN = 3  # Examples in an error message.

_LabelsById = Mapping[str, Collection[int]]  # The labels in each picture.


def write_ids(path: str | os.PathLike, ids: Sequence[str], note: str = "") -> None:
    """Writes ids, one per line in their order, under a line with their digest.

    Raises:
      ValueError: An id is there twice or cannot be a line of its own.
    """
    path = pathlib.Path(path)
    _check_unique(ids, path)
    for image_id in ids:
        one_line = image_id.splitlines() == [image_id] and image_id == image_id.strip()
        if not one_line or image_id.startswith(_COMMENT):
            raise ValueError(f"{path}: cannot hold the image id {image_id!r}.")
    header = f"# sha256:{ids_digest(ids)} images:{len(ids)} {note}".rstrip()
    writing.write_text(path, "\n".join([header, *ids]) + "\n")


def read_ids(path: str | os.PathLike) -> list[str]:
    """Returns the ids of a file in their order; a plain list needs no header.

    Raises:
      ValueError: There is no such file, it holds no ids or one twice, or it was edited
        after its header was written.
    """
    path = pathlib.Path(path).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ValueError(
            f"{path}: no such file of image ids; tools/make_split.py writes them."
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: {error}.") from None
    stripped = [line.strip() for line in lines]
    ids = [line for line in stripped if line and not line.startswith(_COMMENT)]
    header = _HEADER.match(stripped[0]) if stripped else None
    if not header and not ids:
        raise ValueError(f"{path}: holds no image id.")
    _check_unique(ids, path)
    if header:
        _check_header(path, ids, digest=header[1], count=int(header[2]))
    return ids


def chosen(path: str) -> list[str] | None:
    """Returns the ids of a setting: those of its file; None, which means all, without.

    Raises:
      ValueError: As `read_ids`.
    """
    return read_ids(path) if path else None


def ids_digest(ids: Iterable[str]) -> str:
    """Returns 12 hex digits of the SHA-256 of a set of ids, in whatever order."""
    text = "\n".join(sorted(ids))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def check_disjoint(
    sets: Mapping[str, Collection[str]], names: Mapping[str, str] | None = None
) -> None:
    """Makes sure that no picture is in two sets.

    Args:
      sets: What each set is called, to its ids or digests.
      names: What to show for an id or a digest in the message; itself if absent.

    Raises:
      ValueError: Names the two sets, how many pictures both have, and the first few.
    """
    for one, other in itertools.combinations(sets, 2):
        common = sorted(set(sets[one]) & set(sets[other]))
        if common:
            first = ", ".join((names or {}).get(c, c) for c in common[:_SHOWN])
            more = ", ..." if len(common) > _SHOWN else ""
            raise ValueError(
                f"`{one}` and `{other}` must have no picture in common, got "
                f"{len(common)} of {len(sets[one])} and {len(sets[other])}: "
                f"{first}{more}. Choose other ids or records for one of them."
            )


def sample(
    labels_by_id: Mapping[str, Collection[int]],
    counts: Sequence[int],
    *,
    seed: int = 0,
    ensure_classes: bool = False,
) -> list[list[str]]:
    """Draws sets of pictures without replacement; each contains the smaller ones.

    Args:
      labels_by_id: The labels in each picture. Its order does not matter.
      counts: Sizes of the sets, each from 1 to the number of pictures.
      seed: Not negative; the same one draws the same sets.
      ensure_classes: Every label that occurs at all is in every set. Pictures with a
        label that a set would lack replace the last ones drawn.

    Returns:
      Ids in the order in which they were drawn, for each of `counts`.

    Raises:
      ValueError: A count is out of range or too small for all labels.
    """
    for count in counts:
        if not 1 <= count <= len(labels_by_id):
            raise ValueError(
                f"`counts` must be from 1 to {len(labels_by_id)}, the number of "
                f"pictures, got {count}."
            )
    smallest = min(counts) if ensure_classes else 0
    order = _permutation(labels_by_id, seed, smallest)
    return [order[:count] for count in counts]


def split(
    pattern: str,
    folder: str | os.PathLike,
    fractions: Sequence[float],
    *,
    ids_file: str = "",
    seed: int = 0,
    ensure_classes: bool = False,
    only_labeled: bool = False,
    without: Sequence[str] = (),
) -> str:
    """Writes id files for shares of some records, each with the ids that remain.

    Each share contains the smaller ones. The files are `fraction_5_seed0.txt` and
    `fraction_5_seed0_rest.txt` for 5 %. A picture whose file is among the drawn ones
    under another id is in neither.

    Args:
      pattern: Glob of TFRecords.
      folder: Gets the files.
      fractions: Percent of the pictures, above 0 and up to 100; rounded, at least one
        picture.
      ids_file: Ids of the pictures to draw from; empty: all.
      seed: Not negative; the same one draws the same sets.
      ensure_classes: Every class that occurs at all is in every set.
      only_labeled: Draws from the pictures that have a label, and fractions are shares
        of those; the others are among the ids that remain. A map of COCO's JSON that is
        all background has none.
      without: Globs of other records, whose pictures count as absent.

    Returns:
      A table for people: pictures with each class in each set.

    Raises:
      ValueError: A fraction is out of range or there is none, or no such sets can be
        drawn, or a file exists with other ids.
    """
    if not fractions:
        raise ValueError("`fractions` must have a number or more, got none.")
    for fraction in fractions:
        if not 0 < fraction <= 100:
            raise ValueError(f"`fractions` must be in (0, 100], got {fraction:g}.")
    labels_by_id, names = record_labels.read(pattern)
    whole = pattern
    if ids_file:
        labels_by_id, whole = _listed(labels_by_id, ids_file, pattern), ids_file
    digests = dataset_info.picture_digests(pattern)
    if without:
        labels_by_id = _not_in(without, labels_by_id, digests, whole)
        whole = f"{whole} without those of {', '.join(without)}"
    drawn_from = labels_by_id
    if only_labeled:
        drawn_from = _labeled(labels_by_id, pattern)
        whole = f"{len(drawn_from)} labelled pictures of {whole}"
    total = len(drawn_from)
    counts = [max(1, round(total * f / 100)) for f in fractions]
    drawn = sample(drawn_from, counts, seed=seed, ensure_classes=ensure_classes)
    files, copies = {}, []
    for fraction, ids in zip(fractions, drawn, strict=True):
        stem = pathlib.Path(folder).expanduser() / f"fraction_{fraction:g}_seed{seed}"
        note = f"{fraction:g} % of {whole}, seed {seed}"
        files[f"{stem}.txt"] = ids, note
        shown = {digests[image_id] for image_id in ids}
        rest = sorted(i for i in labels_by_id if digests[i] not in shown)
        if count := len(labels_by_id) - len(ids) - len(rest):
            copies.append(f"{count} copies of the {fraction:g} %: not among the rest")
        files[f"{stem}_rest.txt"] = rest, f"all but {note}"
    for path, (ids, _) in files.items():
        _check_not_others(path, ids)
    for path, (ids, note) in files.items():
        write_ids(path, ids, note)
    titles = ["all", *(f"{fraction:g} %" for fraction in fractions)]
    table = _table(titles, [list(labels_by_id), *drawn], labels_by_id, names)
    return "\n".join([table, *copies])


def _listed(labels_by_id: _LabelsById, ids_file: str, pattern: str) -> _LabelsById:
    """Returns the pictures of a file of ids."""
    ids = read_ids(ids_file)
    unknown = [i for i in ids if i not in labels_by_id]
    if unknown:
        raise ValueError(
            f"{ids_file}: `{pattern}` has no picture {unknown[0]!r} "
            f"({len(unknown)} of {len(ids)} ids are unknown to it)."
        )
    return {i: labels_by_id[i] for i in ids}


def _not_in(
    without: Sequence[str],
    labels_by_id: _LabelsById,
    digests: Mapping[str, str],
    whole: str,
) -> _LabelsById:
    """Returns the pictures that other records do not have."""
    others = {
        digest
        for other in without
        for digest in dataset_info.picture_digests(other).values()
    }
    left = {i: n for i, n in labels_by_id.items() if digests[i] not in others}
    if not left:
        raise ValueError(
            f"`without`: all {len(labels_by_id)} pictures of {whole} are there."
        )
    return left


def _labeled(labels_by_id: _LabelsById, pattern: str) -> _LabelsById:
    """Returns the pictures that have a label."""
    background = record_labels.unlabeled(pattern)
    found = {i: n for i, n in labels_by_id.items() if set(n) - background}
    if not found:
        raise ValueError(f"`only_labeled`: no picture of `{pattern}` has a label.")
    return found


def _check_not_others(path: str, ids: Sequence[str]) -> None:
    """Refuses to replace a set by another: runs may have learned from it."""
    if os.path.exists(path) and set(read_ids(path)) != set(ids):
        raise ValueError(
            f"{path}: is there already, with other ids; write to another --output, or "
            "delete it."
        )


def _check_unique(ids: Sequence[str], path: pathlib.Path) -> None:
    repeated = [i for i, n in collections.Counter(ids).items() if n > 1]
    if repeated:
        raise ValueError(
            f"{path}: {len(repeated)} ids are there twice: "
            f"{', '.join(repeated[:_SHOWN])}."
        )


def _check_header(
    path: pathlib.Path, ids: Sequence[str], digest: str, count: int
) -> None:
    got = ids_digest(ids)
    if got != digest:
        raise ValueError(
            f"{path}: edited after it was written: its header is of {count} ids with "
            f"digest {digest}, got {len(ids)} ids with digest {got}. Make it again "
            "with tools/make_split.py or, if the edit is meant, delete the first line."
        )


def _permutation(labels_by_id: _LabelsById, seed: int, cover: int) -> list[str]:
    """Returns all ids in random order, every label among the first `cover` if not 0."""
    ids = sorted(labels_by_id)
    order = [ids[i] for i in np.random.default_rng(seed).permutation(len(ids))]
    if not cover:
        return order
    needed = _one_of_each_label(order, labels_by_id)
    if len(needed) > cover:
        raise ValueError(
            f"{cover} of {len(ids)} pictures cannot show every class: it takes about "
            f"{len(needed)}. Draw more, or do without `ensure_classes`."
        )
    others = [image_id for image_id in order if image_id not in needed]
    first = needed | set(others[: cover - len(needed)])
    return sorted(order, key=lambda image_id: image_id not in first)


def _one_of_each_label(order: Sequence[str], labels_by_id: _LabelsById) -> set[str]:
    """Returns few pictures, early in the order, that show every label there is."""
    pictures = collections.Counter(
        label for labels in labels_by_id.values() for label in set(labels)
    )
    needed: set[str] = set()
    shown: set[int] = set()
    # The rarest first: its picture may show a common one too.
    for label in sorted(pictures, key=lambda label: (pictures[label], label)):
        if label not in shown:
            found = next(i for i in order if label in labels_by_id[i])
            needed.add(found)
            shown |= set(labels_by_id[found])
    return needed


def _table(
    titles: Sequence[str],
    sets: Sequence[Sequence[str]],
    labels_by_id: _LabelsById,
    class_names: Sequence[str],
) -> str:
    histograms = [
        collections.Counter(itertools.chain.from_iterable(labels_by_id[i] for i in ids))
        for ids in sets
    ]
    rows = [("pictures", [len(ids) for ids in sets])]
    rows += [
        (f"with {name}", [histogram[label] for histogram in histograms])
        for label, name in enumerate(class_names, start=1)
    ]
    width = max(len(name) for name, _ in rows)
    lines = [" " * width + "".join(f"{title:>9}" for title in titles)]
    for name, numbers in rows:
        lines.append(f"{name:<{width}}" + "".join(f"{n:>9}" for n in numbers))
    return "\n".join(lines)
