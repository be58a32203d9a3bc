"""How TF1 numbers the layers of a scope: `conv2d`, `conv2d_1`, `conv2d_2`."""

import itertools
from collections.abc import Iterable, Iterator

# Our name of a layer, and the authors' scope of its variables. The last parts of the
# names are the same: kernel, bias, gamma, beta, moving_mean, moving_variance.
NamePairs = Iterator[tuple[str, str]]


def number(names: Iterable[str], kind: str, scope: str, start: int = 0) -> NamePairs:
    """Pairs layers with `scope/kind`, `scope/kind_1`, ... in the order they come.

    Args:
      names: Our names, in the authors' order of creation.
      kind: TF1's name of the layer's class, as `conv2d`.
      scope: Without a trailing slash; empty: none.
      start: Number of the first.
    """
    prefix = f"{scope}/" if scope else ""
    for name, number in zip(names, itertools.count(start), strict=False):
        yield name, f"{prefix}{kind}_{number}" if number else f"{prefix}{kind}"


def number_units(units: Iterable[str], scope: str, start: int = 0) -> NamePairs:
    """Pairs `UNIT_conv` and `UNIT_norm`, a convolution and the BatchNorm after it."""
    units = list(units)
    yield from number((f"{unit}_conv" for unit in units), "conv2d", scope, start)
    yield from number(
        (f"{unit}_norm" for unit in units), "batch_normalization", scope, start
    )
