"""What settings of devices, batches and rates promise together."""

import pytest

from st_keras.config import OptimizationConfig, RuntimeConfig, load

SIMCLR = "configs/classification/simclr_cpu.yaml"


def test_what_several_hosts_cannot_compile_is_refused():
    RuntimeConfig(strategy="mirrored", jit_compile=True)
    with pytest.raises(ValueError, match="`jit_compile` must be false with `strategy:"):
        RuntimeConfig(strategy="multi_worker", jit_compile=True)


def test_a_loss_that_compares_all_pictures_is_not_taken_in_slices():
    load(SIMCLR)
    with pytest.raises(ValueError, match="`training.accumulation_steps` must be 1 wit"):
        load(SIMCLR, ["training.accumulation_steps=2"])


def test_published_rates_are_those_of_their_batch():
    # 0.1 and 0.3 for 256 pictures; there are 4096 and 512.
    for name, rate in (("imagenet_resnet50", 1.6), ("simclr_resnet50", 0.6)):
        config = load(f"configs/classification/{name}.yaml")
        images = config.human.images_per_step
        scaled = config.optimization.for_images_per_step(images)
        assert scaled.learning_rate == pytest.approx(rate)


def test_a_rate_that_was_scaled_is_not_scaled_again():
    once = OptimizationConfig(base_images_per_step=64).for_images_per_step(16)
    assert once.for_images_per_step(16) == once


def test_a_tpu_compiles_steps_that_do_not_ask_for_it():
    tpu = RuntimeConfig(strategy="tpu", tpu="local", jit_compile=True)
    assert tpu.compiles_steps and not tpu.requests_xla
    one = RuntimeConfig(jit_compile=True)
    assert one.compiles_steps and one.requests_xla
