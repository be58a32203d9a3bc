"""A suite whose rows are cases, each measured in several ways, against a twin."""

import itertools
from collections.abc import Callable, Iterator, Sequence

from tqdm import tqdm

from st_keras.experiments.benchmarks import all_cores, lone, rows, suite
from st_keras.experiments.benchmarks.twins import Sizes

# Gives rows of a case: its name, sizes, the rows wanted, pairs, and what moves with
# each pair.
Measure = Callable[[str, Sizes, list[str], int, tqdm], Iterator[dict]]


def run(
    kind: str,
    output: str,
    *,
    command: str,
    only: Sequence[str],
    pairs: int,
    cases: dict[str, Sizes],
    ends: Sequence[str],
    measure: Measure,
    slow_ends: Sequence[str] = (),
) -> dict:
    """Measures, and writes what it finds as JSON, row by row.

    Args:
      kind: step or predict; the suite's name.
      output: JSON file.
      command: What repeats the measurement; it is written along.
      only: Names of rows, each a case and an end; empty is all but the slow ones.
      pairs: How often both sides are measured.
      cases: Sizes by the names of cases.
      ends: What is added to a case's name, one for each way to measure it.
      measure: Gives the rows that need no process of their own.
      slow_ends: Of these, those that take hours.

    Returns:
      What is in the file.

    Raises:
      ValueError: A name is unknown.
    """
    chosen = suite.chosen(
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
            # First what has a process of its own, before this one has used memory.
            alone = lone.rows_of(kind, name, sizes, mine, pairs, bar)
            for row in itertools.chain(alone, measure(name, sizes, mine, pairs, bar)):
                content["rows"].append(row)
                suite.write(output, kind, command, content)
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
    """Gives the rows of one case, each next to a peer of its own.

    Args:
      ends: By the names of rows, the end that says which peer.
      ours: Measures us.
      peer_of: Returns what measures the peer of an end.
      notes: By end.
      pairs: How often both sides are measured.
      bar: Moves with each pair.
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
