"""Reads PASCAL VOC folders: JPEGImages, Annotations/*.xml, ImageSets/Main/*.txt."""

import functools
import os
import pathlib
from collections.abc import Sequence
from xml.etree import ElementTree

from st_keras.data import images as images_module
from st_keras.data.skipping import Reason, SkipPicture
from st_keras.data.sources import class_list, source, voc_folder
from st_keras.data.sources.source import Item, Scene, SourceBox

_SIDES = ("ymin", "xmin", "ymax", "xmax")


class VocSource(source.Source):
    """A VOC folder; an image id is the file's stem, as in ImageSets.

    VOC counts pixels from 1 and the last one is inside, so `xmin` 1 and `xmax` 20 are
    the edges 0 and 20. `difficult` objects are kept; one that repeats another's class
    and box is not. Where ImageSets is missing, all pictures are one split, `train`.

    Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf.
    """

    name = "voc"

    def __init__(
        self,
        images: str | os.PathLike,
        classes: Sequence[str] = (),
        voc_zero_based: bool = False,
    ):
        """Finds the files.

        Args:
          images: The folder that holds JPEGImages.
          classes: Names, label 1 first, or a text file with one per line; empty means
            those that occur in any split, sorted.
          voc_zero_based: Take `xmin` ... `ymax` as edges counted from 0, as some tools
            write them.

        Raises:
          ValueError: It is not a VOC folder, or the classes cannot be read.
        """
        root = source.existing_folder(images, "images")
        self._lists = voc_folder.split_files(root / "ImageSets" / "Main")
        pictures, annotations = root / "JPEGImages", root / "Annotations"
        for folder in (pictures, annotations):
            if not folder.is_dir():
                raise ValueError(
                    f"`images` must be a VOC folder with JPEGImages and Annotations, "
                    f"got {root}: no {folder.name}."
                )
        self._first_pixel = 0 if voc_zero_based else 1
        self._pictures, self._unknown = voc_folder.by_stem(
            pictures, images_module.EXTENSIONS
        )
        self._all_pictures = self._pictures.keys() | self._unknown.keys()
        self._annotations = voc_folder.by_stem(annotations, (".xml",)).known
        found = self._discover_classes()
        self._class_names = source.distinct(class_list.read_names(classes)) or found
        # Lists of one class, such as cat_train.txt: also of those that are left out.
        self._of_one_class = {
            f"{name}_{split}"
            for name in {*found, *self._class_names}
            for split in self._lists
        }

    @property
    def splits(self) -> tuple[str, ...]:
        """All except those of one class and a trainval that only repeats two others."""
        names = voc_folder.without_repeats(self._lists, self._all_pictures)
        chosen = [name for name in names if name not in self._of_one_class]
        return tuple(chosen) or (source.DEFAULT_SPLIT,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._class_names

    def items(self, split: str) -> list[Item]:
        source.check_split(split, tuple(self._lists) or self.splits)
        # Labels without a picture, and pictures of another kind, are skipped by name.
        stems = source.mixed(sorted(self._pictures.keys() | self._annotations.keys()))
        stems += sorted(self._unknown.keys() - self._annotations.keys())
        if self._lists:
            stems = voc_folder.listed(self._lists[split], self._all_pictures)
        return [Item(stem, functools.partial(self._read, stem)) for stem in stems]

    def _discover_classes(self) -> tuple[str, ...]:
        names = set()
        for path, *_ in self._annotations.values():
            try:
                names |= {_class_name(o) for o in _parse(path).findall("object")}
            except SkipPicture:
                pass  # `_read` meets the file again and reports it.
        return tuple(sorted(names - {""}))

    def _read(self, stem: str) -> Scene:
        if stem not in self._pictures:
            told = f"no JPEGImages/{stem}.*"
            raise voc_folder.absent(stem, self._unknown, told)
        if stem not in self._annotations:
            raise SkipPicture(Reason.MISSING_FILE, f"no Annotations/{stem}.xml")
        annotation = _parse(self._annotations[stem][0])
        size = source.stated_size(
            annotation.findtext("size/height"), annotation.findtext("size/width")
        )
        boxes = [self._box(element) for element in annotation.findall("object")]
        return Scene(
            self._picture(stem, annotation.findtext("filename", "")),
            source.repeats_marked(boxes),
            stated_size_px=size,
        )

    def _picture(self, stem: str, file_name: str) -> pathlib.Path:
        candidates = self._pictures[stem]
        named = [path for path in candidates if path.name == file_name.strip()]
        return (named or candidates)[0]

    def _box(self, element: ElementTree.Element) -> SourceBox:
        name = _class_name(element)
        texts = [element.findtext(f"bndbox/{side}") for side in _SIDES]
        told = f"{name} " + " ".join(
            f"{side}={text}" for side, text in zip(_SIDES, texts, strict=True)
        )
        if None in texts or not name:
            return SourceBox(told, problem=Reason.MALFORMED)
        ymin, xmin, ymax, xmax = (source.number(text) for text in texts)
        if not (ymax <= ymin or xmax <= xmin):
            # Only now: equal ends are a mistake of the tool that drew the box, and
            # would otherwise become a pixel's width.
            ymin, xmin = ymin - self._first_pixel, xmin - self._first_pixel
        known = name in self._class_names
        label = self._class_names.index(name) + 1 if known else None
        return SourceBox(told, (ymin, xmin, ymax, xmax), label)


def _parse(path: pathlib.Path) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(path.read_bytes())
    # Besides ParseError: an encoding Python does not know, or a file it may not read.
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        detail = f"{path.name}: {error}"
        raise SkipPicture(Reason.BAD_ANNOTATION_FILE, detail) from None
    if root.tag != "annotation":
        detail = f"{path.name}: root element is <{root.tag}>, not <annotation>"
        raise SkipPicture(Reason.BAD_ANNOTATION_FILE, detail)
    return root


def _class_name(element: ElementTree.Element) -> str:
    return (element.findtext("name") or "").strip()
