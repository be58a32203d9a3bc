"""The kinds of data sets that tools/make_records.py reads."""

import inspect

from st_keras.data.sources.class_folders import ClassFolderSource
from st_keras.data.sources.coco import CocoSource
from st_keras.data.sources.coco_segmentation import CocoSegmentationSource
from st_keras.data.sources.digits import DigitSource
from st_keras.data.sources.folders import FolderSource
from st_keras.data.sources.letters import LetterSource
from st_keras.data.sources.masks import MaskSource
from st_keras.data.sources.source import Source
from st_keras.data.sources.voc import VocSource
from st_keras.data.sources.voc_segmentation import VocSegmentationSource
from st_keras.data.sources.yolo import YoloSource

SOURCES: dict[str, type[Source]] = {
    "coco": CocoSource,
    "voc": VocSource,
    "yolo": YoloSource,
    "images": FolderSource,
    "digits": DigitSource,
    "letters": LetterSource,
    "masks": MaskSource,
    "voc_segmentation": VocSegmentationSource,
    "coco_segmentation": CocoSegmentationSource,
    "class_folders": ClassFolderSource,
}

_SHOWN = 5  # Paths in a note.


def open_source(kind: str, **options) -> Source:
    """Returns the data set that flags describe; prints what it does not read.

    Args:
      kind: A key of `SOURCES`.
      **options: Arguments of its constructor; those that are None are not given.

    Raises:
      ValueError: There is no such kind, an option is missing or is not for it, or what
        it names cannot be read.
    """
    if kind not in SOURCES:
        raise ValueError(
            f"`--source` must be one of {', '.join(SOURCES)}, got {kind!r}."
        )
    taken = inspect.signature(SOURCES[kind]).parameters
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in taken:
            raise ValueError(
                f"`--{name}` is not for `--source {kind}`, which takes "
                f"{', '.join(f'--{other}' for other in taken)}."
            )
    for name, parameter in taken.items():
        if parameter.default is parameter.empty and name not in given:
            raise ValueError(f"`--source {kind}` needs `--{name}`, got none.")
    source = SOURCES[kind](**given)
    if source.unread:
        more = len(source.unread) - _SHOWN
        print(
            f"Not read, as it is in no split: {', '.join(source.unread[:_SHOWN])}"
            f"{f' and {more} more' if more > 0 else ''}. Move it into the folder of a "
            "split, or convert it by itself, if it is needed."
        )
    for why in source.left_out:
        print(f"Left out: {why} Correct it if the split is needed.")
    return source
