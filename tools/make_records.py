r"""Turns a data set into TFRecord shards, one folder per split.

    python tools/make_records.py --source voc --images VOC2012 --output data/voc
    python tools/make_records.py --source coco --images train2017 \
        --annotations annotations/instances_train2017.json --output data/coco
    python tools/make_records.py --source yolo --images coco128 --output data/coco128
    python tools/make_records.py --source images --images photos --output data/photos
    python tools/make_records.py --source digits --output data/digits

Beside the shards are dataset.json and skipped.txt, which lists all that was left out.
"""

from absl import flags

from st_keras import command_line, environment

_SOURCE = flags.DEFINE_enum(
    "source", None, ["coco", "voc", "yolo", "images", "digits"], "Kind of data set."
)
_IMAGES = flags.DEFINE_string("images", None, "Folder of pictures or of the data set.")
_ANNOTATIONS = flags.DEFINE_string("annotations", None, "COCO: the JSON.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for a sub-folder per split.")
_SPLIT = flags.DEFINE_string("split", None, "COCO, images: what to call the split.")
_SPLITS = flags.DEFINE_list("splits", [], "Which splits; all by default.")
_CLASSES = flags.DEFINE_list("classes", None, "VOC, YOLO: class names, first id first.")
_KEEP_IDS = flags.DEFINE_bool(
    "keep_category_ids", None, "COCO: labels are the JSON's ids, with gaps."
)
_ZERO_BASED = flags.DEFINE_bool(
    "voc_zero_based", None, "VOC: boxes are edges counted from 0."
)
_SIZE = flags.DEFINE_integer("image_size_px", None, "Digits: side of a scene.")
_SEED = flags.DEFINE_integer("seed", None, "Digits: another seed, other scenes.")
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

    source = sources.open_source(
        _SOURCE.value,
        images=_IMAGES.value,
        annotations=_ANNOTATIONS.value,
        split=_SPLIT.value,
        classes=_CLASSES.value,
        keep_category_ids=_KEEP_IDS.value,
        voc_zero_based=_ZERO_BASED.value,
        image_size_px=_SIZE.value,
        seed=_SEED.value,
    )
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
