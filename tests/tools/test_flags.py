"""What is said on a command line arrives in the library, under the right name."""

import contextlib
import importlib
import importlib.util
import pathlib
import sys

import pytest
from absl import flags

from st_keras import environment

TOOLS = pathlib.Path(__file__).parents[2] / "tools"
DEVICES = ["--strategy=mirrored"]
ON_DEVICES = {"strategy": "mirrored", "tpu": ""}

# The tool, its flags, the function it calls, and that function's arguments.
CALLS = [
    (
        "pseudo_label",
        [
            *("--checkpoint=c", "--output=o", "--records=r", "--images=p", "--ids=i"),
            *("--score_floor=0.2", "--shards=9", "--shard_range=2:5", "--noresume"),
            *DEVICES,
        ],
        "st_keras.self_training.labeling.label_pictures",
        ("c", "o"),
        {
            **{"records": "r", "images": "p", "ids_file": "i", "score_floor": 0.2},
            **{"num_shards": 9, "shard_range": (2, 5), "resume": False},
            **ON_DEVICES,
        },
    ),
    (
        "calibrate",
        [
            *("--pseudo=p", "--truth=t", "--target=max_f1", "--output=o"),
            *("--min_support=7", "--fallback=0.25", "--teacher=w"),
        ],
        "st_keras.self_training.calibration.calibrate",
        ("p", "t", "max_f1", "o"),
        {"min_support": 7, "fallback": 0.25, "teacher": "w"},
    ),
    (
        "make_split",
        [
            *("--records=r", "--output=o", "--ids=i", "--fractions=2.5,40"),
            *("--ensure_classes", "--only_labeled", "--without=a,b", "--seed=3"),
        ],
        "st_keras.data.splits.split",
        ("r", "o", [2.5, 40.0]),
        {
            **{"ids_file": "i", "seed": 3, "ensure_classes": True},
            **{"only_labeled": True, "without": ["a", "b"]},
        },
    ),
    (
        "make_records",
        [
            *("--source=masks", "--output=o", "--images=p", "--masks=m", "--split=s"),
            *("--annotations=a", "--classes=x,y", "--ignore=7", "--keep_category_ids"),
            *("--voc_zero_based", "--image_size_px=64", "--seed=3"),
        ],
        "st_keras.data.sources.open_source",
        ("masks",),
        {
            **{"images": "p", "masks": "m", "annotations": "a", "split": "s"},
            **{"classes": ["x", "y"], "ignore": ["7"], "keep_category_ids": True},
            **{"voc_zero_based": True, "image_size_px": 64, "seed": 3},
        },
    ),
    (
        "benchmark",
        [
            *("--suite=label", "--json=j", "--only=a,b", "--records=r"),
            *("--seconds=2.5", "--pictures=16", "--pairs=2"),
        ],
        "st_keras.experiments.benchmarks.suites.run",
        ("label", "j"),
        {
            **{"records": "r", "only": ["a", "b"], "seconds": 2.5, "pictures": 16},
            "pairs": 2,
            "command": "python tools/benchmark.py --suite=label --json=j --only=a,b "
            "--records=r --seconds=2.5 --pictures=16 --pairs=2",
        },
    ),
    (
        "predict",
        ["--checkpoint=c", "--images=p", "--output=o", "--min_score=0.7", *DEVICES],
        "st_keras.experiments.predictions.predict_files",
        ("c", "p", "o"),
        {"min_score": 0.7, **ON_DEVICES},
    ),
    (
        "report_pseudo",
        [
            *("--pseudo=p", "--output=o", "--truth=t", "--human=h", "--human_ids=i"),
            *("--min_score=0.7", "--checkpoint=c", "--agreement_pictures=5"),
            *("--checkpoints=2", "--pictures=9", *DEVICES),
        ],
        "st_keras.experiments.pseudo_reports.contents.Settings",
        (),
        {
            **{"pseudo": "p", "truth": "t", "human": "h", "human_ids": "i"},
            **{"min_score": 0.7, "checkpoint": "c", "agreement_pictures": 5},
            **{"checkpoints": 2, "pictures": 9, **ON_DEVICES},
        },
    ),
    (
        "evaluate",
        ["--checkpoint=c", "--records=r", "--purpose=labeling", *DEVICES],
        "st_keras.runtime.restored.restore_run",
        ("c",),
        {"purpose": "labeling", "deterministic": True, **ON_DEVICES},
    ),
    (
        "export",
        ["--checkpoint=c", "--output=o", "--image_size=64,96"],
        "st_keras.runtime.restored.restore_run",
        ("c",),
        {"image_size_px": (64, 96)},
    ),
    (
        "import_checkpoint",
        [
            *("--checkpoint=c", "--model=m", "--output=o", "--parts=neck,head"),
            *("--format=tf1", "--image_size=64,96", "--num_classes=4"),
            "--batch_norm_epsilon=0.01",
        ],
        "st_keras.models.weights.importing.import_file",
        ("c", "m", "o"),
        {
            **{"parts": ["neck", "head"], "format": "tf1", "num_classes": 4},
            **{"image_size_px": (64, 96), "batch_norm_epsilon": 0.01},
        },
    ),
    (
        "show",
        ["records", "--output=o", "--records=r", "--count=5", "--min_score=0.7"],
        "st_keras.experiments.showing.show_records",
        ("r", "o"),
        {"count": 5, "min_score": 0.7},
    ),
    (
        "show",
        [
            *("predictions", "--output=o", "--records=r", "--checkpoint=c"),
            *("--count=5", "--min_score=0.7", *DEVICES),
        ],
        "st_keras.experiments.showing.show_predictions",
        ("c", "r", "o"),
        {"count": 5, "min_score": 0.7, **ON_DEVICES},
    ),
    (
        "show",
        ["augmentations", "--output=o", "--records=r", "--count=5", "--policy=v2"],
        "st_keras.experiments.augmentation_sheet.show_policy",
        ("r", "o"),
        {"count": 5, "config": None, "policy": "v2"},
    ),
    (
        "grid",
        [
            *("--preset=mini", "--workdir=w", "--cell=a,b", "--seeds=3,4", "--quick"),
            *("--set=training.steps=9", "--strategy=mirrored"),
        ],
        "st_keras.experiments.grids.jobs.of_grid",
        ("configs/experiments/mini_quick.yaml", "w"),
        {
            **{"cells": ["a", "b"], "seeds": [3, 4]},
            # A config may name a TPU, which no other strategy accepts.
            "overrides": (
                *("training.steps=9", "runtime.strategy=mirrored", "runtime.tpu="),
            ),
        },
    ),
]


class CalledError(Exception):
    """Ends a tool where it calls the library."""


@contextlib.contextmanager
def opened(tool):
    """Yields a tool as a module; its flags are gone afterwards."""
    before = set(flags.FLAGS)
    spec = importlib.util.spec_from_file_location(f"tool_{tool}", TOOLS / f"{tool}.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()


@pytest.fixture
def called(monkeypatch):
    """Returns a function that runs a tool up to a function, and gives its arguments."""
    monkeypatch.setattr(environment, "quiet", lambda: None)

    def called(tool, words, name):
        arguments = []

        def function(*args, **kwargs):
            arguments.extend([args, kwargs])
            raise CalledError

        place, _, attribute = name.rpartition(".")
        monkeypatch.setattr(importlib.import_module(place), attribute, function)
        monkeypatch.setattr(sys, "argv", [f"tools/{tool}.py", *words])
        with opened(tool) as module, pytest.raises(CalledError):
            module.main(flags.FLAGS(sys.argv))
        return arguments

    return called


@pytest.mark.parametrize(
    ("tool", "words", "name", "args", "kwargs"),
    CALLS,
    ids=[f"{tool}-{name.rpartition('.')[2]}" for tool, _, name, *_ in CALLS],
)
def test_flags_arrive(called, monkeypatch, tool, words, name, args, kwargs):
    monkeypatch.chdir(TOOLS.parent)
    assert called(tool, words, name) == [args, kwargs]
