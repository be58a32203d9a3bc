r"""Tells how good pseudo labels are, before a student learns from them.

    python tools/report_pseudo.py --pseudo data/photos_pseudo \
        --truth 'data/photos/train/*.tfrecord' --output reports/photos \
        --fail_if 'precision@0.5<0.6' --fail_if 'recall[car]<0.3'

Without --truth, the teacher is shown some pictures again, mirrored and smaller. In
report.html, tick pictures to leave out and save exclude.txt for `pseudo.exclude`.
Exit code 1 if a --fail_if is true.
"""

import sys

from absl import flags

from st_keras import command_line, environment

_PSEUDO = flags.DEFINE_string("pseudo", None, "Folder that pseudo_label.py wrote.")
_TRUTH = flags.DEFINE_string("truth", "", "Folder or glob of human-labelled records.")
_HUMAN = flags.DEFINE_string("human", "", "The same of other pictures, to compare.")
_HUMAN_IDS = flags.DEFINE_string("human_ids", "", "File of ids of those; empty: all.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the report.")
_MIN_SCORE = flags.DEFINE_float("min_score", 0.5, "As `pseudo.min_score`.")
_FAIL_IF = flags.DEFINE_multi_string(
    "fail_if", [], "A number, a score and a limit; may be given more than once."
)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "", "The teacher, if it was moved.")
_AGREEMENT_PICTURES = flags.DEFINE_integer(
    "agreement_pictures", 50, "That the teacher is shown again; 0: none.", 0
)
_CHECKPOINTS = flags.DEFINE_integer(
    "checkpoints", 3, "Earlier ones of its run that are shown them too.", 0
)
_PICTURES = flags.DEFINE_integer("pictures", 200, "On the page, at most.", 1)
_DEVICES = command_line.define_device_flags()
flags.mark_flags_as_required(["pseudo", "output"])


def main(argv):
    del argv
    from st_keras.experiments.pseudo_reports import conditions

    fail_if = [conditions.parse(text) for text in _FAIL_IF.value]
    environment.quiet()
    # Here and not above, so that `--help` need not wait for TensorFlow.
    from st_keras.experiments.pseudo_reports import contents, page

    settings = contents.Settings(
        pseudo=_PSEUDO.value,
        truth=_TRUTH.value,
        human=_HUMAN.value,
        human_ids=_HUMAN_IDS.value,
        min_score=_MIN_SCORE.value,
        checkpoint=_CHECKPOINT.value,
        agreement_pictures=_AGREEMENT_PICTURES.value,
        checkpoints=_CHECKPOINTS.value,
        pictures=_PICTURES.value,
        **_DEVICES(),
    )
    report, shown = contents.report_pseudo(settings, fail_if)
    contents.write_report(report, _OUTPUT.value)
    path = page.write_html(report, shown, _OUTPUT.value)
    print(page.format_summary(report, path))
    sys.exit(int(bool(report["failed"])))


if __name__ == "__main__":
    command_line.run(main)
