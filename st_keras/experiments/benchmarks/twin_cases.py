"""A suite whose rows are cases, each measured in several ways, against a twin."""

import itertools
from collections.abc import Callable, Iterator, Sequence

from tqdm import tqdm

from st_keras.experiments.benchmarks import all_cores, lone, rows, suite_parts
from st_keras.experiments.benchmarks.twins import Sizes

# Yields the rows of a case, given its name, sizes, the rows wanted, the number of
# pairs, and the bar that advances with each pair.
Measure = Callable[[str, Sizes, list[str], int, tqdm], Iterator[dict]]
_CLASSES = 91


def retinanets(kind: str) -> dict[str, Sizes]:
    """Returns the sizes of the detectors that a suite measures, by case."""
    return {
        f"{kind}/retinanet_{name}_{side}": Sizes(backbone, (side, side), 4, _CLASSES)
        for name, backbone in (
            ("resnet50_fpn", "resnet50"),
            ("spinenet_49", "spinenet_49"),
        )
        for side in (256, 384)
    }


def run(
    kind: str,
    output: str,
    *,
    command: str,
    only: Sequence[str] = (),
    pairs: int = 5,
    cases: dict[str, Sizes] | None = None,
    ends: Sequence[str],
    measure: Measure,
    slow_ends: Sequence[str] = (),
) -> dict:
    """Runs the measurements and writes the results as JSON, row by row.

    Args:
      kind: step or predict; the suite's name.
      output: JSON file.
      command: Repeats the measurement; it is stored with the results.
      only: Names of rows, each a case and an end; empty is all but the slow ones.
      pairs: How often both sides are measured.
      cases: Sizes by the names of cases; None: `retinanets`.
      ends: Suffixes of a case's name, one for each way to measure it.
      measure: Yields the rows that need no process of their own.
      slow_ends: The ends that take hours.

    Returns:
      What is in the file.

    Raises:
      ValueError: A name is unknown.
    """
    cases = retinanets(kind) if cases is None else cases
    chosen = suite_parts.chosen(
        [f"{name}{end}" for name in cases for end in ends],
        only,
        slow={f"{name}{end}" for name in cases for end in slow_ends},
    )
    content = {
        "rows": [],
        "batch": {name: sizes.batch_size for name, sizes in cases.items()},
        "how": all_cores.HOW,
    }
    with tqdm(total=len(chosen) * pairs, unit="pair") as bar:
        for name, sizes in cases.items():
            mine = [row for row in chosen if row in {f"{name}{end}" for end in ends}]
            # Rows with a process of their own come before this one uses memory.
            alone = lone.rows_of(kind, name, sizes, mine, pairs, bar)
            for row in itertools.chain(alone, measure(name, sizes, mine, pairs, bar)):
                content["rows"].append(row)
                suite_parts.write(output, kind, command, content)
    return content


def comparisons(
    ends: dict[str, str],
    ours: Callable[[], rows.Measurement],
    peer_of: Callable[[str], Callable[[], rows.Measurement]],
    *,
    notes: dict[str, str],
    pairs: int,
    bar: tqdm,
) -> Iterator[dict]:
    """Yields the rows of one case, each next to a peer of its own.

    Args:
      ends: By row name, the end that says which peer.
      ours: Measures our side.
      peer_of: Returns the function that measures the peer of an end.
      notes: By end.
      pairs: How often both sides are measured.
      bar: Advances with each pair.
    """
    for row, end in ends.items():
        bar.set_description(row)
        yield rows.compare(
            row,
            ours,
            peer_of(end),
            pairs=pairs,
            unit=rows.PER_SECOND,
            note=notes[end],
            after_pair=bar.update,
        )
