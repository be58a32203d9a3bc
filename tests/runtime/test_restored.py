"""With what config a run is opened again."""

import dataclasses
import shutil

from st_keras import config as config_lib
from st_keras.runtime import restored
from st_keras.runtime.restored import restore_run


def test_several_hosts_open_a_run_whose_steps_were_compiled(
    rectangles_run, tmp_path, monkeypatch
):
    """They cannot compile steps, but here is nothing to train."""
    workdir = tmp_path / "run"
    shutil.copytree(rectangles_run, workdir)
    path = str(workdir / "config.yaml")
    config = config_lib.load(path)
    runtime = dataclasses.replace(config.runtime, jit_compile=True)
    config_lib.save(dataclasses.replace(config, runtime=runtime), path)
    assert restore_run(str(workdir)).config.runtime.jit_compile
    alone = restored.strategies.build_strategy(config.runtime)
    # Other hosts are not there to be waited for.
    monkeypatch.setattr(restored.strategies, "build_strategy", lambda *_: alone)
    opened = restore_run(str(workdir), strategy="multi_worker").config.runtime
    assert (opened.strategy, opened.jit_compile) == ("multi_worker", False)
