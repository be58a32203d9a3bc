r"""Measures st_keras next to tf-models-official, in one run and on the same data.

    python tools/benchmark.py --suite input --json input.json
    python tools/benchmark.py --suite input --json coco.json \
        --records 'data/coco/train2017/*.tfrecord' --only input/detection_s4_640

Suite `input`: images per second of the training input on one core. It makes its own
pictures where no records are given, and takes about five minutes.
"""

import shlex
import sys

from absl import flags

from st_keras import command_line, environment

_SUITE = flags.DEFINE_enum("suite", None, ["input"], "What to measure.")
_JSON = flags.DEFINE_string("json", None, "File for the numbers.")
_ONLY = flags.DEFINE_list("only", [], "Names of rows; empty: all.")
_RECORDS = flags.DEFINE_string("records", "", "Glob of TFRecords; quote it.")
_SECONDS = flags.DEFINE_float(
    "seconds", 4.0, "CPU time of a single measurement.", lower_bound=0.01
)
_PAIRS = flags.DEFINE_integer(
    "pairs", 5, "How often both sides are measured, in turn.", lower_bound=1
)
flags.mark_flags_as_required(["suite", "json"])


def main(argv):
    del argv
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.experiments.benchmarks import input as input_suite

    content = input_suite.run(
        _JSON.value,
        command=shlex.join(["python", *sys.argv]),
        records=_RECORDS.value,
        only=_ONLY.value,
        seconds=_SECONDS.value,
        pairs=_PAIRS.value,
    )
    print(input_suite.format_content(content))
    print(f"Written: {_JSON.value}")


if __name__ == "__main__":
    command_line.run(main)
