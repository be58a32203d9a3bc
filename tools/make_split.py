r"""Draws which pictures of some records count as labelled.

    python tools/make_split.py --records 'data/voc/train/*.tfrecord' \
        --output data/voc/splits --fractions 1,5,10,20,50 --ensure_classes

Writes fraction_5_seed0.txt for 5 %, and the others to fraction_5_seed0_rest.txt.
"""

from absl import flags

from st_keras import command_line, environment

_RECORDS = flags.DEFINE_string("records", None, "Glob of TFRecords; quote it.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the files of image ids.")
_IDS = flags.DEFINE_string("ids", "", "File of the ids to draw from; empty: all.")
_FRACTIONS = flags.DEFINE_list("fractions", ["1", "5", "10", "20", "50"], "Percent.")
_ENSURE_CLASSES = flags.DEFINE_bool(
    "ensure_classes", False, "The smallest set shows every class at least once."
)
_ONLY_LABELED = flags.DEFINE_bool(
    "only_labeled", False, "Draw from pictures with a label; the others remain."
)
_WITHOUT = flags.DEFINE_list(
    "without", [], "Globs of records whose pictures count as absent."
)
_SEED = flags.DEFINE_integer("seed", 0, "Another seed, another draw.")
flags.mark_flags_as_required(["records", "output"])


def main(argv):
    del argv
    environment.quiet()
    fractions = command_line.numbers("fractions", _FRACTIONS.value)
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.data import splits

    table = splits.split(
        _RECORDS.value,
        _OUTPUT.value,
        fractions,
        ids_file=_IDS.value,
        seed=_SEED.value,
        ensure_classes=_ENSURE_CLASSES.value,
        only_labeled=_ONLY_LABELED.value,
        without=_WITHOUT.value,
    )
    print(table)


if __name__ == "__main__":
    command_line.run(main)
