"""What `environment` promises: a wrong environment meets one sentence."""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import warnings

import pytest
from packaging.specifiers import SpecifierSet

from st_keras import environment


def _message():
    with pytest.raises(ImportError) as raised:
        environment.check()
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 12, 1), (2, 7, 18)])
def test_another_python_is_named_with_the_way_out(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "version", "{}.{}.{} (main, Oct 2 2023)".format(*version))
    message = _message()
    assert "needs Python 3.10 or 3.11" in message
    assert "got {}.{}.{}:".format(*version) in message
    assert "python3.11 -m venv" in message


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 11, 7)])
def test_both_supported_pythons_pass(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    environment.check()


@pytest.mark.parametrize("version", ["2.16.1", "2.14.0", "2.150.0"])
def test_another_tensorflow_is_named_with_the_way_out(monkeypatch, version):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    message = _message()
    assert f"needs TensorFlow 2.15, got {version}:" in message
    assert "pip install -c constraints.txt" in message


def test_a_missing_tensorflow_is_said_to_be_missing(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert "needs TensorFlow 2.15, got none" in _message()


def test_a_second_keras_is_refused(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    assert "`TF_USE_LEGACY_KERAS` must not be set" in _message()


@pytest.mark.parametrize("value", ["0", "", "False"])
def test_the_second_keras_may_be_switched_off_explicitly(monkeypatch, value):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", value)
    environment.check()


def test_the_check_runs_when_the_package_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", "import st_keras"],
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: `TF_USE_LEGACY")


def test_quiet_keeps_a_log_level_that_was_chosen(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with warnings.catch_warnings():
        environment.quiet()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_quiet_is_for_processes_that_are_started_too():
    child = (
        "import warnings; warnings.warn('old', FutureWarning); warnings.warn('real')"
    )
    code = (
        "import subprocess, sys; from st_keras import environment; environment.quiet()"
        f"; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "real" in done.stderr and "FutureWarning" not in done.stderr


def test_quiet_hides_deprecations_but_not_real_warnings():
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        environment.quiet()
        warnings.warn("old", FutureWarning, stacklevel=1)
        warnings.warn("real", UserWarning, stacklevel=1)
    assert [str(w.message) for w in shown] == ["real"]


def test_asking_for_tensorflow_does_not_keep_keras_from_our_layers():
    program = (
        "import importlib.util, sys, st_keras\n"
        "importlib.util.find_spec('tensorflow')\n"
        "assert 'tensorflow' not in sys.modules\n"
        "import tensorflow as tf\n"
        "import importlib\n"
        "print(tf.keras.saving.get_registered_object("
        "'st_keras>SynchronizedBatchNorm') is not None)\n"
        "print(any('_AfterTensorFlow' in repr(f) for f in sys.meta_path))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["True", "False"], done.stderr


def test_the_tensorflow_of_a_tpu_vm_need_not_be_replaced():
    setup = pathlib.Path(__file__).parents[1] / "setup.py"
    wanted = re.search(r'"tensorflow([^-\w"]+[^"]*)"', setup.read_text())
    versions = SpecifierSet(wanted[1])
    assert {"2.15.0", "2.15.1"} <= set(versions.filter(["2.15.0", "2.15.1"]))
    assert not {"2.14.1", "2.16.1"} & set(versions.filter(["2.14.1", "2.16.1"]))
