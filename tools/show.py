r"""Draws a sheet of pictures: records, augmentations, batches or predictions.

    python tools/show.py records --records 'data/digits/train/*.tfrecord' \
        --output sheet.png
    python tools/show.py augmentations --policy S4 \
        --records 'data/digits/train/*.tfrecord' --output sheet.png
    python tools/show.py batches --config configs/demo/digits_teacher.yaml \
        --output sheet.png
    python tools/show.py predictions --checkpoint runs/demo/student_1 \
        --records 'data/digits/test/*.tfrecord' --output sheet.png
"""

from absl import app, flags

from st_keras import command_line, config, environment

_OUTPUT = flags.DEFINE_string("output", None, "Picture file to write.")
_COUNT = flags.DEFINE_integer("count", 24, "Pictures at most; of batches, per part.")
_RECORDS = flags.DEFINE_string("records", None, "Glob of TFRecords; quote it.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Workdir or checkpoint prefix.")
_MIN_SCORE = flags.DEFINE_float(
    "min_score", 0.3, "Weaker labels: dashed, hatched or left out."
)
_CONFIG = flags.DEFINE_string("config", None, "YAML file with the settings.")
_POLICY = flags.DEFINE_string("policy", None, "Augmentations: instead of the config's.")
_SET = flags.DEFINE_multi_string("set", [], "Overrides, as `pseudo.min_score=0.6`.")
_DEVICES = command_line.define_device_flags()
flags.mark_flag_as_required("output")


def main(argv):
    environment.quiet()
    what, how = argv[1], {"count": _COUNT.value}
    settings = config.load(_CONFIG.value, _SET.value) if _CONFIG.value else None
    # Here and not above: a mistake in the config need not wait for TensorFlow.
    from st_keras.experiments import augmentation_sheet, showing

    output = _OUTPUT.value
    if what == "batches":
        _given(_CONFIG)
        print(showing.show_batches(settings, output, **how))
    elif what == "augmentations":
        how |= {"config": settings, "policy": _POLICY.value or ""}
        print(augmentation_sheet.show_policy(_given(_RECORDS), output, **how))
    elif what == "predictions":
        given = [_given(_CHECKPOINT), _given(_RECORDS)]
        how |= {"min_score": _MIN_SCORE.value} | _DEVICES()
        print(showing.show_predictions(*given, output, **how))
    else:
        how["min_score"] = _MIN_SCORE.value
        print(showing.show_records(_given(_RECORDS), output, **how))


def _given(flag):
    if flag.value is None:
        raise app.UsageError(f"flag --{flag.name} must be given here.")
    return flag.value


if __name__ == "__main__":
    command_line.run(
        main, commands=["records", "augmentations", "batches", "predictions"]
    )
