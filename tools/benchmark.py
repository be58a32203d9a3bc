r"""Measures st_keras next to tf-models-official, in one run and on the same data.

    python tools/benchmark.py --suite input --json input.json
    python tools/benchmark.py --suite input --json coco.json \
        --records 'data/coco/train2017/*.tfrecord' --only input/detection_s4_640
    python tools/benchmark.py --suite step --json step.json \
        --only step/retinanet_resnet50_fpn_256

Suites: `input`, images per second of the training input on one core; `label`, from
records to shards of pseudo labels; `predict`, detections of a batch; `step`, a step of
training, its start and its memory; `growth`, how costs grow with the batch, the image,
boxes, classes, replicas, shards, and pictures to judge. `all` runs each in turn, in
processes of their own, and writes input.json and so on into the folder that --json
names; `table` measures nothing and shows a file as Markdown.

They make their own pictures where no records are given. One suite takes from five
minutes to an hour on two cores.
"""

import os
import shlex
import sys

from absl import flags

from st_keras import command_line, environment

_SUITES = ["input", "label", "predict", "step", "growth", "all", "table"]
_SUITE = flags.DEFINE_enum("suite", None, _SUITES, "What to measure.")
_JSON = flags.DEFINE_string("json", None, "File for the numbers; with `all`, a folder.")
_ONLY = flags.DEFINE_list("only", [], "Names of rows; empty: all.")
_RECORDS = flags.DEFINE_string(
    "records", "", "Glob of TFRecords for `input` and `label`; quote it."
)
_SECONDS = flags.DEFINE_float(
    "seconds", 4.0, "CPU time of a single measurement of `input`.", lower_bound=0.01
)
_PICTURES = flags.DEFINE_integer(
    "pictures", 64, "Made for `label`, and labelled in each measurement.", lower_bound=8
)
_PAIRS = flags.DEFINE_integer(
    "pairs", 5, "How often both sides are measured, in turn.", lower_bound=1
)
_DEVICE = flags.DEFINE_enum(
    "device", None, ["cpu"], "cpu: not even if there is a GPU. Else what there is."
)
flags.mark_flags_as_required(["suite", "json"])


def main(argv):
    del argv
    environment.quiet()
    if _DEVICE.value == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # Its subprocesses inherit it.
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.experiments.benchmarks import suites

    text = suites.run(
        _SUITE.value,
        _JSON.value,
        command=shlex.join(["python", *sys.argv]),
        records=_RECORDS.value,
        only=_ONLY.value,
        seconds=_SECONDS.value,
        pictures=_PICTURES.value,
        pairs=_PAIRS.value,
    )
    print(text)
    if _SUITE.value != "table":
        print(f"Written: {_JSON.value}")


if __name__ == "__main__":
    command_line.run(main)
