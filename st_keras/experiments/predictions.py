"""A trained model looks at a user's own picture files."""

import io
import json
import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image
from tqdm import tqdm

from st_keras.data import decode, drawing, images, path_globs, records
from st_keras.data.skipping import Reason, SkipLog, SkipPicture
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import RestoredRun, restore_run
from st_keras.runtime.run_log import write_json
from st_keras.tasks import Task
from st_keras.types import Labels

PREDICTIONS_FILE = "predictions.json"
SKIPPED_FILE = "skipped.txt"
_LABEL_MAP_SUFFIX = "_labels.png"
_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


def predict_files(
    checkpoint: str,
    pattern: str,
    output: str,
    *,
    min_score: float = 0.3,
    strategy: str = "one_device",
    tpu: str = "",
) -> dict:
    """Draws what a model sees in picture files and writes it as JSON.

    `output` gets the drawn pictures under their names, predictions.json and
    skipped.txt, which lists the files that are no readable pictures. A label map lies
    beside its drawing as `<name>_labels.png`, a PNG of class ids; where the name is
    taken, it gets a number.

    Args:
      checkpoint: Workdir of a run, or a checkpoint prefix inside it.
      pattern: Glob of picture files of any kind; `**` goes through sub-folders, each
        of them once.
      output: Folder to write.
      min_score: In [0, 1); boxes at or under it are left out. A label map always says
        the most probable class.
      strategy: On which devices, as `runtime.strategy`.
      tpu: As `runtime.tpu`.

    Returns:
      The content of predictions.json: `images`, `categories` and `annotations` as
      COCO has them, boxes (x, y, width, height) or the regions of classes, run-length
      encoded, in pixels of the upright picture, with `score`; and `skipped`, the
      number of files by reason.

    Raises:
      ValueError: There is no such checkpoint, no file, or no readable one; or a
        drawing would overwrite a file that is not from an earlier call.
    """
    if not 0.0 <= min_score < 1.0:
        raise ValueError(f"`min_score` must be in [0, 1), got {min_score}.")
    files = _find_files(pattern, output)
    folder, relative = pathlib.Path(output), _relative(files)
    ours = _written_earlier(folder)
    _check_free(folder, relative, ours)
    run = restore_run(
        checkpoint,
        min_score=min_score,
        strategy=strategy,
        tpu=tpu,
        deterministic=True,
    )
    skipped = SkipLog()
    found = Predictor(run.task, run.model).over_pictures(
        _read(files, skipped),
        batch_size=min(run.config.evaluation.images_per_step, len(files)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    names = _Names(folder, relative, ours)
    pictures: list[dict] = []
    annotations: list[dict] = []
    for picture, labels in tqdm(found, "Predict", len(files), unit="img"):
        number, place = len(pictures) + 1, int(picture.image_id)
        written = _write_picture(
            run.task, picture, labels, folder, relative[place], names
        )
        pictures.append({"id": number, "file_name": str(files[place])} | written)
        rows = run.task.annotations(labels)
        annotations += [{"image_id": number, **row} for row in rows]
    skipped.write(folder / SKIPPED_FILE)
    if not pictures:
        raise ValueError(
            f"`{pattern}`: none of {len(files)} files is a readable picture; "
            f"{folder / SKIPPED_FILE} says why."
        )
    content = _content(run, pictures, annotations, skipped)
    write_json(folder / PREDICTIONS_FILE, content)
    return content


def format_summary(content: dict, output: str) -> str:
    """Returns a line that says what `predict_files` found and where it is."""
    skipped = content["skipped"]
    reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
    listed = f" ({reasons}; see {os.path.join(output, SKIPPED_FILE)})"
    return (
        f"{len(content['images'])} pictures, {len(content['annotations'])} labels, "
        f"{sum(skipped.values())} skipped{listed if skipped else ''}: {output}"
    )


def _relative(files: list[pathlib.Path]) -> list[pathlib.Path]:
    """Returns the paths of files inside the folder that holds them all."""
    root = os.path.commonpath([file.absolute().parent for file in files])
    return [file.absolute().relative_to(root) for file in files]


def _read(files: list[pathlib.Path], skipped: SkipLog) -> Iterator[records.Record]:
    """Yields the pictures of files; their ids are positions in the list."""
    for index, file in enumerate(files):
        try:
            picture = images.read_picture(file)
        except SkipPicture as skip:
            skipped.add(str(file), skip.reason, skip.detail)
            continue
        if problem := decode.decoding_problem(picture.encoded):
            skipped.add(str(file), Reason.UNREADABLE_FILE, problem)
            continue
        yield records.Record(
            image_id=str(index),
            encoded=picture.encoded,
            format=picture.format,
            filename="",
            height_px=picture.height_px,
            width_px=picture.width_px,
        )


def _find_files(pattern: str, output: str) -> list[pathlib.Path]:
    pattern = os.path.expanduser(pattern)
    # `photo[1].jpg` may name a file, but as a glob it matches another.
    found = [pattern] if os.path.isfile(pattern) else path_globs.files(pattern)
    files = [pathlib.Path(path) for path in found]
    if not files:
        is_folder = os.path.isdir(pattern)
        fix = (
            f"It is a folder: write '{pattern.rstrip('/')}/*'."
            if is_folder
            else "Write a glob such as 'photos/*.jpg', in quotes."
        )
        raise ValueError(f"`images` must match files, got none for {pattern!r}. {fix}")
    folder = pathlib.Path(output).resolve()
    inside = [file for file in files if folder in file.resolve().parents]
    if inside:
        raise ValueError(
            f"`output` must be a folder without the pictures to look at, got {output}, "
            f"where {len(inside)} of {len(files)} are, such as {inside[0]}."
        )
    return files


def _written_earlier(folder: pathlib.Path) -> set[str]:
    """Returns the names of the files that an earlier call wrote."""
    try:
        earlier = json.loads((folder / PREDICTIONS_FILE).read_text())["images"]
        return {p.get(key) for p in earlier for key in ("drawing", "label_map")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _check_free(
    folder: pathlib.Path, names: Iterable[pathlib.Path], ours: set[str]
) -> None:
    """Refuses drawings over what no earlier call wrote, such as masks of the user."""
    for name in names:
        drawings = (name.name, f"{name.name}.png", f"{name.name}{_JPEG_SUFFIXES[0]}")
        for written in map(name.with_name, drawings):
            if str(written) not in ours and (folder / written).exists():
                raise ValueError(
                    f"`output` has {folder / written}, which no earlier prediction "
                    "that ended wrote, and would write over it. Name another folder, "
                    "or delete the file."
                )


class _Names:
    """Names for the written files, no two the same even if case is ignored.

    Those of files that are there, but not of an earlier call, are given to none.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        names_of_files: Iterable[pathlib.Path],
        ours: set[str],
    ):
        self._folder, self._ours = folder, ours
        # Reserves each file's name for its drawing, however late its turn comes.
        self._taken = {_folded(name) for name in names_of_files}

    def of_drawing(self, name: pathlib.Path, picture_format: str) -> pathlib.Path:
        """Returns a file's name, with a suffix that says how its drawing is stored."""
        fitting = _JPEG_SUFFIXES if picture_format == "jpeg" else (".png",)
        if name.suffix.lower() in fitting:
            return name
        return self._free(name.with_name(f"{name.name}{fitting[0]}"))

    def of_label_map(self, drawing_name: pathlib.Path) -> pathlib.Path:
        return self._free(
            drawing_name.with_name(f"{drawing_name.stem}{_LABEL_MAP_SUFFIX}")
        )

    def _free(self, wanted: pathlib.Path) -> pathlib.Path:
        name, number = wanted, 1
        while _folded(name) in self._taken or self._is_foreign(name):
            number += 1
            name = wanted.with_name(f"{wanted.stem}_{number}{wanted.suffix}")
        self._taken.add(_folded(name))
        return name

    def _is_foreign(self, name: pathlib.Path) -> bool:
        return str(name) not in self._ours and (self._folder / name).exists()


def _folded(name: pathlib.Path) -> str:
    return str(name).casefold()


def _write_picture(
    task: Task,
    picture: records.Record,
    labels: Labels,
    folder: pathlib.Path,
    file_name: pathlib.Path,
    names: _Names,
) -> dict:
    """Writes a picture's drawing, and its label map if it has one.

    Returns:
      What predictions.json says of the files, and the picture's size.
    """
    name = names.of_drawing(file_name, picture.format)
    pixels = np.asarray(Image.open(io.BytesIO(picture.encoded)).convert("RGB"))
    drawn = drawing.draw_labels(pixels, labels, task.class_names)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn).save(path, quality=92)
    size = {"height": picture.height_px, "width": picture.width_px}
    written = {"drawing": str(name)} | size
    label_map_png = task.write_labels(picture, labels).label_map_png
    if label_map_png is not None:
        map_name = names.of_label_map(name)
        written["label_map"] = str(map_name)
        (folder / map_name).write_bytes(label_map_png)
    return written


def _content(
    run: RestoredRun, pictures: list[dict], annotations: list[dict], skipped: SkipLog
) -> dict:
    return {
        "images": pictures,
        "annotations": [{"id": n, **row} for n, row in enumerate(annotations, 1)],
        "categories": [
            {"id": run.task.label_of(class_id), "name": name}
            for class_id, name in enumerate(run.task.class_names)
        ],
        "skipped": skipped.counts,
        "checkpoint": run.file.prefix,
        "checkpoint_sha256": run.file.digest,
        "protocol": run.task.protocol,
    }
