"""Reads PASCAL VOC folders for their masks, SegmentationClass/*.png."""

import functools
import os
import pathlib
from collections.abc import Sequence

from st_keras.data import images as images_module
from st_keras.data.sources import class_list, mask_files, source, voc_folder
from st_keras.data.sources.source import Item, Scene

_MASKS = "SegmentationClass"
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car"),
    *("cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike", "person"),
    *("pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


class VocSegmentationSource(source.Source):
    """A VOC folder with a mask per picture; an image id is the file's stem.

    A mask's palette indices or grey values are the classes; 255, the borders of
    objects, is ignored. Where ImageSets/Segmentation is missing, all pictures are one
    split, `train`.

    Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf.
    """

    name = "voc_segmentation"

    def __init__(
        self,
        images: str | os.PathLike,
        masks: str | os.PathLike = _MASKS,
        classes: Sequence[str] = (),
    ):
        """Finds the files.

        Args:
          images: The folder that holds JPEGImages.
          masks: Folder in it such as SegmentationClassAug, or anywhere.
          classes: Names, value 0 first, or a text file with one per line; empty means
            VOC's 21, the background first.

        Raises:
          ValueError: It is not a VOC folder, there are no masks, or the classes
            cannot be read or are too many.
        """
        root = source.existing_folder(images, "images")
        pictures = root / "JPEGImages"
        if not pictures.is_dir():
            raise ValueError(
                f"`images` must be a VOC folder with JPEGImages, got {root}."
            )
        inside = root / pathlib.Path(masks).expanduser()
        folder = inside if inside.is_dir() else source.existing_folder(masks, "masks")
        self._lists = voc_folder.split_files(root / "ImageSets" / "Segmentation")
        self._pictures, self._unknown = voc_folder.by_stem(
            pictures, images_module.EXTENSIONS
        )
        self._all_pictures = self._pictures.keys() | self._unknown.keys()
        self._masks, self._unknown_masks = voc_folder.by_stem(
            folder, images_module.EXTENSIONS
        )
        names = class_list.read_names(classes) or CLASSES
        self.label_map_names = source.label_map_names(names)

    @property
    def splits(self) -> tuple[str, ...]:
        """All but trainval, if it only repeats two others."""
        chosen = voc_folder.without_repeats(self._lists, self._all_pictures)
        return tuple(chosen) or (source.DEFAULT_SPLIT,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def items(self, split: str) -> list[Item]:
        source.check_split(split, tuple(self._lists) or self.splits)
        stems = source.mixed(sorted(self._pictures.keys() | self._masks.keys()))
        stems += sorted(self._unknown.keys() - self._masks.keys())
        if self._lists:
            stems = voc_folder.listed(self._lists[split], self._all_pictures)
        return [Item(stem, functools.partial(self._read, stem)) for stem in stems]

    def _read(self, stem: str) -> Scene:
        if stem not in self._pictures:
            told = f"no JPEGImages/{stem}.*"
            raise voc_folder.absent(stem, self._unknown, told)
        if stem not in self._masks:
            raise voc_folder.absent(stem, self._unknown_masks, f"no mask {stem}.*")
        values = mask_files.read_values(mask_files.preferred(self._masks[stem]))
        return Scene(self._pictures[stem][0], label_map=values)
