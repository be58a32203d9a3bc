"""Writes the reference pages from the code: settings, commands, functions.

    python tools/reference.py --output docs/reference

A test compares the pages with the code: run this after a setting or a signature
has changed.
"""

import os

from absl import flags

from st_keras import command_line, environment, writing
from st_keras.experiments.reference import api, configs, tools

_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pages.")
flags.mark_flag_as_required("output")


def main(argv):
    del argv
    environment.quiet()  # Values of constants take TensorFlow.
    os.makedirs(_OUTPUT.value, exist_ok=True)
    for name, kind in (("configs", configs), ("tools", tools), ("api", api)):
        path = os.path.join(_OUTPUT.value, f"{name}.md")
        writing.write_text(path, kind.page())
        print(f"{path}: written")


if __name__ == "__main__":
    command_line.run(main)
