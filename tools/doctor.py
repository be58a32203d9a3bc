r"""Examines a config before it costs anything: data, settings, speed, time, disk.

    python tools/doctor.py --config configs/demo/digits_student.yaml

Prints what was looked at, a numbered list of problems with what cures each, warnings,
and what the run will cost by some real steps. Exit code 1 if there is a problem.
"""

import sys

from absl import flags

from st_keras import command_line, config, environment

_CONFIG = flags.DEFINE_string("config", None, "YAML file with the settings.")
_SET = flags.DEFINE_multi_string("set", [], "Overrides, as `pseudo.min_score=0.6`.")
_DEVICES = command_line.define_device_overrides(hosts=False)
_STEPS = flags.DEFINE_integer("steps", 20, "Real training steps; 0: none.", 0)
_WORKDIR = flags.DEFINE_string("workdir", ".", "Where the run is going to write.")
_JSON = flags.DEFINE_string("json", None, "File for the same as numbers.")
flags.mark_flag_as_required("config")


def main(argv):
    del argv
    environment.quiet()
    settings = config.load(_CONFIG.value, [*_SET.value, *_DEVICES()])
    # Here and not above: a mistake in the config need not wait for TensorFlow.
    from st_keras.experiments.doctor import case, checkup, page
    from st_keras.runtime import run_log

    seen, found = checkup.examine(settings, workdir=_WORKDIR.value, steps=_STEPS.value)
    print(page.format_page(seen, found, _CONFIG.value))
    if _JSON.value:
        run_log.write_json(_JSON.value, page.to_json(seen, found))
    sys.exit(int(any(finding.kind == case.PROBLEM for finding in found)))


if __name__ == "__main__":
    command_line.run(main)
