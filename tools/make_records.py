r"""Turns a data set into TFRecord shards, one folder per split.

    python tools/make_records.py --source voc --images VOC2012 --output data/voc
    python tools/make_records.py --source coco --images train2017 \
        --annotations annotations/instances_train2017.json --output data/coco
    python tools/make_records.py --source yolo --images coco128 --output data/coco128
    python tools/make_records.py --source images --images photos --output data/photos
    python tools/make_records.py --source class_folders --images imagenet \
        --output data/imagenet
    python tools/make_records.py --source digits --output data/digits
    python tools/make_records.py --source letters --output data/letters
    python tools/make_records.py --source masks --images pictures --masks masks \
        --classes sky,building,road --ignore 3 --output data/streets

`{split}` in both paths stands for train, val, ...: `--images camvid/{split} --masks
camvid/{split}annot`. `voc_segmentation` and `coco_segmentation` read the masks of their
data sets.

Beside the shards are dataset.json and skipped.txt, which lists all that was left out.
"""

from absl import flags

from st_keras import command_line, environment

_SOURCE = flags.DEFINE_enum(
    "source",
    None,
    [
        *("coco", "voc", "yolo", "images", "digits", "letters"),
        *("masks", "voc_segmentation", "coco_segmentation", "class_folders"),
    ],
    "Kind of data set.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for a sub-folder per split.")
_SPLITS = flags.DEFINE_list("splits", [], "Which splits; all by default.")
_OF_SOURCE = [
    flags.DEFINE_string("images", None, "Folder of pictures or of the data set."),
    flags.DEFINE_string("masks", None, "Folder of masks, where a kind has one."),
    flags.DEFINE_string("annotations", None, "COCO: the JSON."),
    flags.DEFINE_string("split", None, "COCO, images, masks: the split's name."),
    flags.DEFINE_list("classes", None, "Names in order. Masks, VOC, YOLO: or a file."),
    flags.DEFINE_list("ignore", None, "Masks: values to ignore besides 255."),
    flags.DEFINE_bool("keep_category_ids", None, "COCO: labels are ids, with gaps."),
    flags.DEFINE_bool("voc_zero_based", None, "VOC: boxes are edges counted from 0."),
    flags.DEFINE_integer("image_size_px", None, "Digits, letters: side of a picture."),
    flags.DEFINE_integer("seed", None, "Digits, letters: another seed, others."),
]
_SHARDS = flags.DEFINE_integer("num_shards", 0, "Per split; 0: one per 500 pictures.")
_MAX_SIDE = flags.DEFINE_integer("max_side_px", 0, "Shrink larger pictures; 0: never.")
_STRICT = flags.DEFINE_bool("strict", False, "Anything skipped is an error.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace records that are there.")
flags.mark_flags_as_required(["source", "output"])


def main(argv):
    del argv
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.data import sources

    options = {flag.name: flag.value for flag in _OF_SOURCE}
    source = sources.open_source(_SOURCE.value, **options)
    from st_keras.data import conversion

    conversion.convert(
        source,
        _OUTPUT.value,
        split_names=_SPLITS.value,
        num_shards=_SHARDS.value,
        max_side_px=_MAX_SIDE.value,
        strict=_STRICT.value,
        overwrite=_OVERWRITE.value,
    )


if __name__ == "__main__":
    command_line.run(main)
