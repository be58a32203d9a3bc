"""Writes the table of presets: parameters and multiply-adds next to published ones.

    python tools/model_table.py --output docs/models.md

The whole table takes about 15 minutes on 2 CPU cores; `--presets` does a few.
"""

from absl import flags

from st_keras import command_line, environment

_OUTPUT = flags.DEFINE_string("output", None, "Markdown file to write.")
_PRESETS = flags.DEFINE_list("presets", [], "Names with commas between; empty: all.")
flags.mark_flag_as_required("output")


def main(argv):
    del argv
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras import models
    from st_keras.experiments.reference import model_table

    model_table.write(_OUTPUT.value, _PRESETS.value or list(models.PRESETS))
    print(f"{_OUTPUT.value}: written")


if __name__ == "__main__":
    command_line.run(main)
