r"""Lets a trained teacher label pictures that nobody labelled.

    python tools/pseudo_label.py --checkpoint runs/teacher \
        --records 'data/photos/train/*.tfrecord' --output data/photos_pseudo

Then point `pseudo.records` of a student's config at the output. `--images` labels a
folder of picture files, or a list of them, without making records first.

A killed run goes on where it stopped when it is started again. Several hosts share the
work when each gets a range of the shards, here the first of four; with --strategy
multi_worker, the hosts of TF_CONFIG share it by themselves.

    ... --shards 256 --shard_range 0:64
"""

from absl import flags

from st_keras import command_line, environment

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir or checkpoint prefix.")
_RECORDS = flags.DEFINE_string("records", "", "Glob of TFRecords; quote it.")
_IMAGES = flags.DEFINE_string(
    "images", "", "Or a folder, or a file with a path a line."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the labelled TFRecords.")
_IDS = flags.DEFINE_string("ids", "", "File of ids of the pictures; empty: all.")
_SCORE_FLOOR = flags.DEFINE_float(
    "score_floor", 0.05, "Weaker boxes are not written.", 0.0, 1.0
)
_SHARDS = flags.DEFINE_integer(
    "shards", 0, "Files of the whole output; 0: one per 500 pictures.", 0
)
_SHARD_RANGE = flags.DEFINE_string(
    "shard_range", "", "Those to write here, such as 0:64; empty: all."
)
_RESUME = flags.DEFINE_bool(
    "resume", True, "Go on in a folder that has some of the shards."
)
_DEVICES = command_line.define_device_flags(hosts=True)
flags.mark_flags_as_required(["checkpoint", "output"])


def main(argv):
    del argv
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.self_training import labeling

    manifest = labeling.label_pictures(
        _CHECKPOINT.value,
        _OUTPUT.value,
        records=_RECORDS.value,
        images=_IMAGES.value,
        ids_file=_IDS.value,
        score_floor=_SCORE_FLOOR.value,
        num_shards=_SHARDS.value,
        shard_range=command_line.whole_range("shard_range", _SHARD_RANGE.value),
        resume=_RESUME.value,
        **_DEVICES(),
    )
    print(labeling.format_summary(manifest, _OUTPUT.value))


if __name__ == "__main__":
    command_line.run(main)
