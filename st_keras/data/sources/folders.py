"""Reads a folder of pictures that nobody labelled."""

import functools
import os

from st_keras.data.skipping import Reason
from st_keras.data.sources import source
from st_keras.data.sources.source import Item, Scene


class FolderSource(source.Source):
    """Every picture in a folder and its sub-folders, without labels.

    An image id is the path relative to the folder, without extension.
    """

    name = "images"

    def __init__(self, images: str | os.PathLike, split: str = source.DEFAULT_SPLIT):
        self._folder = source.existing_folder(images, "images")
        self._split = split

    @property
    def splits(self) -> tuple[str, ...]:
        return (self._split,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def items(self, split: str) -> list[Item]:
        source.check_split(split, self.splits)
        paths = source.files_below(self._folder)
        image_ids = source.image_ids(paths, self._folder)
        return source.mixed(
            [
                Item(image_id, _reader(path))
                for image_id, path in zip(image_ids, paths, strict=True)
            ]
        )


def _reader(path):
    if not source.is_picture_name(path):
        # Listed and not ignored: a folder of HEIC files must not vanish silently.
        return source.skipped(Reason.UNKNOWN_EXTENSION, path.suffix or "none")
    return functools.partial(Scene, path)
