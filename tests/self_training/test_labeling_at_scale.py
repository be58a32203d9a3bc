"""What labelling promises over many pictures and many kills."""

import dataclasses
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.record_files import write_records

TOOL = pathlib.Path(__file__).parents[2] / "tools/pseudo_label.py"
KILLS = 25
MANY = 20_000


def start(teacher, digit_records, output):
    return subprocess.Popen(
        [
            *(sys.executable, str(TOOL), "--checkpoint", teacher),
            *("--records", f"{digit_records}/train/*.tfrecord"),
            *("--output", str(output), "--shards", "12", "--score_floor", "0.005"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_labelling_killed_at_random_ends_as_one_never_killed(
    teacher, digit_records, tmp_path
):
    calm, troubled = tmp_path / "calm", tmp_path / "troubled"
    began = time.time()
    assert start(teacher, digit_records, calm).wait() == 0
    whole = time.time() - began
    chance = random.Random(2)
    finished = 0
    for _ in range(KILLS):
        process = start(teacher, digit_records, troubled)
        # Much of a run is the start of Python; kills in it would prove little.
        time.sleep(chance.uniform(0.4, 1.0) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (troubled / "manifest.json").exists():
            check_same(troubled, calm)
            shutil.rmtree(troubled)
            finished += 1
    assert finished < KILLS
    assert start(teacher, digit_records, troubled).wait() == 0
    check_same(troubled, calm)


def check_same(folder, wanted):
    names = sorted(path.name for path in wanted.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        # Of the JSON files, manifest and reports tell how long it took.
        if not name.endswith(".json") or name == "dataset.json":
            assert (folder / name).read_bytes() == (wanted / name).read_bytes(), name


LABEL = """
import sys
import psutil
from st_keras.self_training import labeling, shards

teacher, records, output = sys.argv[1:]
sizes = []
write = shards.LabelFolder.write
def write_and_weigh(*args, **work):
    write(*args, **work)
    sizes.append(psutil.Process().memory_info().rss)
shards.LabelFolder.write = write_and_weigh
labeling.label_pictures(teacher, output, records=records, num_shards=20)
print(*sizes)
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_does_not_grow_with_the_pictures(teacher, tiny_records, tmp_path):
    some = list(tiny_records.by_id.values())
    write_records(
        tmp_path / "many",
        (
            dataclasses.replace(some[number % 12], image_id=f"{number:06d}")
            for number in range(MANY)
        ),
        num_shards=4,
        class_names=tiny_records.class_names,
    )
    done = subprocess.run(
        [sys.executable, "-c", LABEL, teacher]
        + [f"{tmp_path}/many/*.tfrecord", str(tmp_path / "labels")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    sizes = [int(size) for size in done.stdout.split()]
    print([round(size / 2**20) for size in sizes])
    # After the first thousand, and after twenty.
    assert sizes[-1] < 1.05 * sizes[0]
