"""Writes the table of the compilations for TPUs into a page of the docs.

    python tools/tpu_table.py --results docs/results/tpu_compile.json --page docs/tpu.md

The results are the file that `tools/doctor.py --tpu` extends with `--json`.
"""

from absl import flags

from st_keras import command_line

_RESULTS = flags.DEFINE_string("results", None, "JSON file of `doctor.py --tpu`.")
_PAGE = flags.DEFINE_string("page", None, "Markdown page with the marks of the table.")
flags.mark_flags_as_required(["results", "page"])


def main(argv):
    del argv
    # Here and not above, so that `--help` is quick.
    from st_keras.experiments.tpu import table

    table.write(_PAGE.value, _RESULTS.value)
    print(f"{_PAGE.value}: written")


if __name__ == "__main__":
    command_line.run(main)
