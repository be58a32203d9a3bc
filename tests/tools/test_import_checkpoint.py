"""What tools/import_checkpoint.py promises: a line on what was wrong, or a file."""

import pathlib
import subprocess
import sys

import pytest

from st_keras.models import weights
from st_keras.models.authors.box_head import box_head_names
from st_keras.models.authors.fpn import fpn_names
from st_keras.models.authors.resnet import resnet_names
from st_keras.models.retinanet import retinanet
from tests.models import reference
from tests.models.weights import files

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "import_checkpoint.py"
PRESET = "--model=retinanet_resnet50_fpn"


def run(folder, *flags):
    command = [sys.executable, TOOL, "--output=out/m.keras", *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    done = run(tmp_path, PRESET, "--checkpoint=gone")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: `gone` is not there; name")
    assert not done.stdout


def test_its_formats_are_those_of_the_package(tmp_path):
    done = run(tmp_path, "--help")
    assert f"<{'|'.join(weights.FORMATS)}>" in done.stdout


def test_a_wrong_image_size_is_told_before_tensorflow(tmp_path):
    done = run(tmp_path, PRESET, "--checkpoint=gone", "--image_size=64")
    assert done.returncode == 1
    assert "`--image_size` must be height and width" in done.stderr


def test_a_model_that_is_none_is_told(tmp_path):
    files.write_tf1(tmp_path / "m", {"a/kernel": [1.0]})
    done = run(tmp_path, "--model=retinanet_resnet50_fpm", "--checkpoint=m")
    assert done.returncode == 1
    assert "Did you mean retinanet_resnet50_fpn?" in done.stderr


@pytest.mark.slow
def test_the_authors_weights_give_what_their_graph_gave(tmp_path):
    model = retinanet((128, 256), 91, backbone="resnet50")
    names = {
        "backbone": resnet_names(50),
        "neck": fpn_names(),
        "head": box_head_names(),
    }
    values = files.authors_values(model, names)
    files.write_tf1(tmp_path / "model.ckpt-1", values)
    done = run(tmp_path, PRESET, "--checkpoint=model.ckpt-1", "--image_size=128,256")
    assert done.returncode == 0, done.stderr
    assert "loaded: 481 weights of backbone, neck, head" in done.stdout
    assert "Written: out/m.keras, out/m.keras.report.json" in done.stdout
    weights.load_weights(model, str(tmp_path / "out" / "m.keras"))
    outputs = model(reference.input_image(128, 256), training=False)
    golden = reference.golden("retinanet_resnet50_fpn_128x256")
    reference.assert_detector_matches(outputs, golden)
