"""Which sizes are compiled to find out what fits, and what is said of them."""

import dataclasses
import pathlib

import pytest

from st_keras import config as config_lib
from st_keras.experiments.tpu import (
    command,
    compiler,
    environment,
    examine,
    lowering,
    page,
    results,
    table,
)
from st_keras.experiments.tpu.chips import CHIPS
from st_keras.experiments.tpu.compiler import Compiled

GIB = 2**30
V3 = CHIPS["v3"]
CONFIG = """
detection: {image_size_px: [64, 96], backbone: tiny, max_level: 5}
human: {records: nowhere/*.tfrecord, images_per_step: 256}
training: {steps: 20000}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    return config_lib.load(str(path), [])


@pytest.fixture
def compiled(monkeypatch):
    """A compiler for which a step takes 3 GiB and 1.5 GiB for every image.

    It tells 1 GiB as variables; the other two look as if they grew with the images.
    """
    sizes = []

    def lower(config, step, images):
        sizes.append(sum(images.values()))
        return lowering.Lowered(hlo=b"", parameters=1000)

    def compile_step(hlo, chip, *, timeout_seconds):
        needed = (3.0 + 1.5 * sizes[-1]) * GIB
        if needed > chip.hbm_bytes:
            room = chip.hbm_bytes - 0.5 * GIB
            return Compiled(
                verdict="too large", needed_bytes=needed, room_bytes=room, error="Used"
            )
        return Compiled(
            verdict="fits",
            needed_bytes=needed,
            memory_bytes={"arguments": GIB, "temporaries": needed - GIB, "code": 0},
            flops=sizes[-1] * 6.15e12,
            traffic_bytes=9e9,
        )

    monkeypatch.setattr(lowering, "lower", lower)
    monkeypatch.setattr(compiler, "compile_step", compile_step)
    monkeypatch.setattr(environment, "python", lambda: "python")
    return sizes


def test_sizes_are_compiled_until_the_largest_that_fits_is_known(config, compiled):
    # 2 images take 6 GiB, 2.5 each if all but 1 grows: 6 would fit in 16, so 4 is next.
    # By the line through both, 1.5 each, 8.67 fit: 8, which does; 16 would not.
    rows = examine.examine(config, "c.yaml", V3)
    assert compiled == [2, 4, 8]
    assert [row.compiled.verdict for row in rows] == ["fits"] * 3
    assert rows[-1].replicas == 32


def test_a_size_that_does_not_fit_is_followed_by_a_smaller_one(
    config, compiled, monkeypatch
):
    # 3 + 1.5 x 2 = 6 GiB are more than 5, so one image: 4.5.
    small = dataclasses.replace(V3, hbm_bytes=5 * GIB)
    rows = examine.examine(config, "c.yaml", small)
    assert compiled == [2, 1]
    assert [row.compiled.verdict for row in rows] == ["too large", "fits"]


def test_nothing_more_is_compiled_where_not_even_one_image_fits(config, compiled):
    tiny = dataclasses.replace(V3, hbm_bytes=4 * GIB)
    rows = examine.examine(config, "c.yaml", tiny)
    assert compiled == [2, 1]
    assert {row.compiled.verdict for row in rows} == {"too large"}


def test_a_step_that_the_compiler_refuses_is_not_tried_again(config, monkeypatch):
    lowered = lowering.Lowered(hlo=b"", parameters=1)
    monkeypatch.setattr(lowering, "lower", lambda *_: lowered)
    refused = Compiled(verdict="refused", error="no such operation")
    monkeypatch.setattr(compiler, "compile_step", lambda *_, **__: refused)
    assert len(examine.examine(config, "c.yaml", V3)) == 1


def test_a_slice_is_compiled_once_with_its_share_of_the_batch(config, compiled):
    (row,) = examine.examine(config, "c.yaml", V3, replicas=64)
    assert compiled == [4]
    assert row.images == {"human": 4}
    assert row.replicas == 64


def test_a_slice_that_cannot_share_the_batch_is_refused(config):
    with pytest.raises(ValueError, match="256, which 24 replicas of v3-24 cannot"):
        examine.examine(config, "c.yaml", V3, replicas=24)


def test_replicas_share_a_batch_that_each_takes_in_slices(config, compiled):
    # 256 = 64 replicas x 2 slices x 2 images; 256 replicas would have no image a slice.
    training = dataclasses.replace(config.training, accumulation_steps=2)
    config = dataclasses.replace(config, training=training)
    assert all(
        256 % (row.replicas * 2) == 0 for row in examine.examine(config, "c.yaml", V3)
    )
    with pytest.raises(ValueError, match="256, which 256 replicas .* in 2 slices"):
        examine.examine(config, "c.yaml", V3, replicas=256)


def test_the_page_says_the_time_at_best_the_cost_and_the_slice(config, compiled):
    text = page.format_page(examine.examine(config, "c.yaml", V3))
    # 8 x 6.15e12 / 61.5e12 = 0.8 s; x 20,000 steps = 4.44 h; on 16 chips 71 chip-hours.
    last = {row.split("  ")[0]: row.split()[-1] for row in text.splitlines() if row}
    assert "800.0 ms" in text
    assert last["chip-hours"] == "71"
    assert "8 images per core, so the 256 of a step take a v3-32" in text
    assert "one takes 1.50 GiB, and up to 8 would fit" in text


def test_a_single_size_promises_what_fits_if_all_that_can_grow_does(config, compiled):
    # 4 images take 9 GiB, 1 of it fixed: 2 each, 7 in 16; of powers of two, 4.
    text = page.what_fits(examine.examine(config, "c.yaml", V3, replicas=64))
    assert "If all but variables and code grows" in text
    assert "up to 7 would fit" in text
    assert text.endswith("those of a v3-64.")


def test_rows_are_kept_in_a_file_and_a_new_one_takes_the_place_of_the_old(
    config, compiled, tmp_path, capsys
):
    path = str(tmp_path / "tpu.json")
    for slice_name in ("v3-64", "v3-32", "v3-64"):
        assert command.run(
            config, "c.yaml", slice_name, step="train", minutes=1.0, path=path
        )
    rows = results.read(path)
    assert [row.images_per_replica for row in rows] == [4, 8]
    assert rows[0].compiled.flops == 4 * 6.15e12
    assert "jax" in rows[0].compiler


def test_what_was_compiled_is_kept_though_the_next_size_fails(
    config, compiled, tmp_path, monkeypatch
):
    once = compiler.compile_step

    def compile_step(*arguments, **settings):
        if len(compiled) > 1:
            raise KeyboardInterrupt
        return once(*arguments, **settings)

    monkeypatch.setattr(compiler, "compile_step", compile_step)
    path = str(tmp_path / "tpu.json")
    with pytest.raises(KeyboardInterrupt):
        command.run(config, "c.yaml", "v3", step="train", minutes=1.0, path=path)
    assert [row.images_per_replica for row in results.read(path)] == [2]


def test_every_part_of_a_step_is_shared_by_the_replicas(config, compiled):
    pseudo = config_lib.PseudoConfig(images_per_step=256)
    joint = config_lib.JointConfig(records="nowhere", images_per_step=192)
    config = dataclasses.replace(config, pseudo=pseudo, joint=joint)
    (row,) = examine.examine(config, "c.yaml", V3, replicas=64)
    assert row.images == {"human": 4, "pseudo": 4, "joint": 3}
    assert row.replicas == 64
    # 128 divides 256 and not 192.
    with pytest.raises(ValueError, match="`joint.images_per_step` is 192, which 128"):
        examine.examine(config, "c.yaml", V3, replicas=128)


@pytest.mark.parametrize("step", ["evaluation", "labeling"])
def test_looking_takes_the_batch_of_evaluation(config, compiled, step):
    settings = dataclasses.replace(config.evaluation, images_per_step=64)
    training = dataclasses.replace(config.training, accumulation_steps=4)
    config = dataclasses.replace(config, evaluation=settings, training=training)
    (row,) = examine.examine(config, "c.yaml", V3, replicas=32, step=step)
    assert row.images == {"evaluation": 2}
    assert row.slices == 1  # Which are of training alone.
    with pytest.raises(ValueError, match="`evaluation.images_per_step` is 64, which"):
        examine.examine(config, "c.yaml", V3, replicas=24, step=step)


def test_the_time_of_slices_is_that_of_all_of_them(config, compiled):
    # The compiler counts a loop's body once: 4 images at 0.1 s each.
    (row,) = examine.examine(config, "c.yaml", V3, replicas=64)
    assert page.roofline_of(row).seconds == pytest.approx(0.4)
    sliced = dataclasses.replace(row, slices=4)
    assert page.roofline_of(sliced).seconds == pytest.approx(1.6)
    assert "98.400" in page.format_page([sliced])  # TFLOP, of 24.6 each.


def test_nothing_is_said_of_a_step_that_was_not_compiled(config, compiled):
    (row,) = examine.examine(config, "c.yaml", V3, replicas=64)
    killed = Compiled(verdict="no answer", error="the compiler was killed")
    text = page.format_page([dataclasses.replace(row, compiled=killed)])
    rows = dict(line.rsplit(maxsplit=1) for line in text.splitlines() if "  " in line)
    assert rows.pop("images per replica") == "4"
    assert rows.pop("slice") == "v3-64"
    assert rows.pop("verdict             no") == "answer"
    assert set(rows.values()) == {"-"}


def test_temporaries_alone_say_nothing_of_what_an_image_takes(config, compiled):
    fitting, larger = examine.examine(config, "c.yaml", V3)[:2]
    alone = dataclasses.replace(
        larger.compiled, verdict="too large", needed_bytes=20 * GIB, is_partial=True
    )
    known = [fitting, dataclasses.replace(larger, compiled=alone)]
    assert page.memory_of(known) == page.memory_of([fitting])
    assert page.memory_of(known[1:]).at(4) > 19 * GIB


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "bench.json").write_text('{"rows": [{"name": "x"}]}')
    with pytest.raises(ValueError, match="bench.json: not what `--tpu` writes"):
        results.read(str(tmp_path / "bench.json"))


def test_the_table_takes_its_place_in_a_page_and_leaves_the_rest(
    config, compiled, tmp_path
):
    path, text = str(tmp_path / "tpu.json"), tmp_path / "tpu.md"
    command.run(config, "a/c.yaml", "v3-64", step="train", minutes=1.0, path=path)
    text.write_text(f"Before.\n{table.BEGIN}\nold\n{table.END}\nAfter.\n")
    table.write(str(text), path)
    made = text.read_text()
    assert made.startswith("Before.\n") and made.endswith("\nAfter.\n")
    assert "old" not in made
    assert "| `c` | v3-64 | 4 |" in made
    assert "9.00 GiB of 16.00 GiB | yes |" in made


def test_a_page_without_a_place_for_the_table_is_refused(tmp_path):
    (tmp_path / "tpu.md").write_text("Nothing.")
    with pytest.raises(ValueError, match="must have the lines"):
        table.write(str(tmp_path / "tpu.md"), str(tmp_path / "tpu.json"))


def test_the_table_in_the_docs_is_what_the_results_say():
    docs = pathlib.Path(__file__).parents[3] / "docs"
    made = table.format_table(results.read(str(docs / "results/tpu_compile.json")))
    assert f"{table.BEGIN}\n\n{made}\n{table.END}" in (docs / "tpu.md").read_text()


def test_compiled_steps_are_not_written_over(tmp_path):
    docs = pathlib.Path(__file__).parents[3] / "docs"
    path = tmp_path / "rows.json"
    results.check_none(str(path))
    path.write_text('{"findings": []}')
    results.check_none(str(path))
    path.write_text(docs.joinpath("results/tpu_compile.json").read_text())
    with pytest.raises(ValueError, match="rows.json: has compiled steps"):
        results.check_none(str(path))
