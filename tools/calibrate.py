r"""Chooses the score from which to trust a teacher's labels, class by class.

Compares its labels for a held-out slice of the labelled pictures with people's:

    python tools/pseudo_label.py --checkpoint runs/teacher --score_floor 0.05 \
        --records 'data/photos/train/*.tfrecord' --ids data/photos/slice.txt \
        --output data/photos_slice
    python tools/calibrate.py --pseudo data/photos_slice \
        --truth 'data/photos/train/*.tfrecord' --target precision=0.7 \
        --output data/photos_thresholds.json

Then point `pseudo.thresholds` of a student's config at the file. The teacher must not
have learned from the slice.
"""

from absl import flags

from st_keras import command_line, config, environment

_PSEUDO = flags.DEFINE_string("pseudo", None, "Folder of the labels of the slice.")
_TRUTH = flags.DEFINE_string("truth", None, "Glob of human-labelled TFRecords.")
_TARGET = flags.DEFINE_string(
    "target", "precision=0.7", "precision=P, max_f1 or match_counts."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file of the thresholds.")
_MIN_SUPPORT = flags.DEFINE_integer(
    "min_support", 20, "Boxes, or pictures with the class, that it takes.", 1
)
_FALLBACK = flags.DEFINE_float(
    "fallback", 0.5, "Threshold where even all classes have less.", 0.0, 1.0
)
_TEACHER = flags.DEFINE_string("teacher", "", "Its workdir, if it was moved.")
flags.mark_flags_as_required(["pseudo", "truth", "output"])


def main(argv):
    del argv
    config.parse_target(_TARGET.value)
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.experiments import threshold_table
    from st_keras.self_training import calibration

    found = calibration.calibrate(
        _PSEUDO.value,
        _TRUTH.value,
        _TARGET.value,
        _OUTPUT.value,
        min_support=_MIN_SUPPORT.value,
        fallback=_FALLBACK.value,
        teacher=_TEACHER.value,
    )
    print(threshold_table.format_table(found))


if __name__ == "__main__":
    command_line.run(main)
