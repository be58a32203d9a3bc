"""Reads PASCAL VOC folders: JPEGImages, Annotations/*.xml, ImageSets/Main/*.txt."""

import collections
import functools
import os
import pathlib
import re
from collections.abc import Container, Sequence
from xml.etree import ElementTree

from st_keras.data import images as images_module
from st_keras.data.skipping import Reason, SkipPicture
from st_keras.data.sources import source
from st_keras.data.sources.source import Item, Scene, SourceBox

_SIDES = ("ymin", "xmin", "ymax", "xmax")
_FLAG = re.compile(r"\s+(-1|0|1)$")  # "000012 -1": whether a class is in the picture.


class VocSource(source.Source):
    """A VOC folder; an image id is the file's stem, as in ImageSets.

    VOC counts pixels from 1 and the last one is inside, so `xmin` 1 and `xmax` 20 are
    the edges 0 and 20. `difficult` objects are kept. Where ImageSets is missing, all
    pictures are one split, `train`.

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
          classes: Names, label 1 first; empty means those that occur in any split,
            sorted.
          voc_zero_based: Take `xmin` ... `ymax` as edges counted from 0, as some tools
            write them.

        Raises:
          ValueError: It is not a VOC folder.
        """
        root = source.existing_folder(images, "images")
        self._sets = root / "ImageSets" / "Main"
        pictures, annotations = root / "JPEGImages", root / "Annotations"
        for folder in (pictures, annotations):
            if not folder.is_dir():
                raise ValueError(
                    f"`images` must be a VOC folder with JPEGImages and Annotations, "
                    f"got {root}: no {folder.name}."
                )
        self._first_pixel = 0 if voc_zero_based else 1
        self._pictures = _by_stem(pictures, images_module.EXTENSIONS)
        self._annotations = _by_stem(annotations, (".xml",))
        self._class_names = source.distinct(classes) or self._discover_classes()

    @property
    def splits(self) -> tuple[str, ...]:
        """All but trainval, if it only repeats two others, and those of one class."""
        names = [path.stem for path in self._split_files()]
        for_one_class = {f"{c}_{name}" for c in self._class_names for name in names}
        repeated = {"trainval"} if {"train", "val"} <= set(names) else set()
        chosen = [n for n in names if n not in for_one_class | repeated]
        return tuple(chosen) or (source.DEFAULT_SPLIT,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._class_names

    def items(self, split: str) -> list[Item]:
        files = {path.stem: path for path in self._split_files()}
        source.check_split(split, tuple(files) or self.splits)
        stems = self._listed(files[split]) if files else sorted(self._pictures)
        return [Item(stem, functools.partial(self._read, stem)) for stem in stems]

    def _split_files(self) -> list[pathlib.Path]:
        if not self._sets.is_dir():
            return []
        files = [p for p in source.files_below(self._sets) if p.suffix == ".txt"]
        order = {split: i for i, split in enumerate(source.USUAL_SPLITS)}
        return sorted(files, key=lambda path: (order.get(path.stem, 9), path.stem))

    def _listed(self, path: pathlib.Path) -> list[str]:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text: {error}.") from None
        stripped = [source.storable(line.strip()) for line in lines]
        return [self._stem(line) for line in stripped if line]

    def _stem(self, line: str) -> str:
        """Returns the picture a line means; a file name may itself end in " 1"."""
        without_flag = _FLAG.sub("", line)
        for guess in (line, without_flag, os.path.splitext(without_flag)[0]):
            if guess in self._pictures:
                return guess
        return without_flag

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
            raise SkipPicture(Reason.MISSING_FILE, f"no JPEGImages/{stem}.*")
        if stem not in self._annotations:
            raise SkipPicture(Reason.MISSING_FILE, f"no Annotations/{stem}.xml")
        annotation = _parse(self._annotations[stem][0])
        size = source.stated_size(
            annotation.findtext("size/height"), annotation.findtext("size/width")
        )
        return Scene(
            self._picture(stem, annotation.findtext("filename", "")),
            [self._box(element) for element in annotation.findall("object")],
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


def _by_stem(
    folder: pathlib.Path, extensions: Container[str]
) -> dict[str, list[pathlib.Path]]:
    found = collections.defaultdict(list)
    for path in source.files_below(folder):
        if path.suffix.lower() in extensions:
            stem = path.relative_to(folder).with_suffix("").as_posix()
            found[source.storable(stem)].append(path)
    return dict(found)


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
