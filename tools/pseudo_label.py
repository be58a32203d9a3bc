r"""Lets a trained teacher label pictures that nobody labelled.

    python tools/pseudo_label.py --checkpoint runs/teacher \
        --records 'data/photos/train/*.tfrecord' --output data/photos_pseudo

Then point `pseudo.records` of a student's config at the output.
"""

from absl import flags

from st_keras import command_line, environment

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir or checkpoint prefix.")
_RECORDS = flags.DEFINE_string("records", None, "Glob of TFRecords; quote it.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the labelled TFRecords.")
_IDS = flags.DEFINE_string("ids", "", "File of ids of the pictures; empty: all.")
_SCORE_FLOOR = flags.DEFINE_float(
    "score_floor", 0.05, "Weaker boxes are not written.", 0.0, 1.0
)
_SHARDS = flags.DEFINE_integer("shards", 1, "Files to write.", 1)
flags.mark_flags_as_required(["checkpoint", "records", "output"])


def main(argv):
    del argv
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.self_training import labeling

    manifest = labeling.label_records(
        _CHECKPOINT.value,
        _RECORDS.value,
        _OUTPUT.value,
        ids_file=_IDS.value,
        score_floor=_SCORE_FLOOR.value,
        num_shards=_SHARDS.value,
    )
    print(manifest["summary"], f"Written: {_OUTPUT.value}", sep="\n")


if __name__ == "__main__":
    command_line.run(main)
