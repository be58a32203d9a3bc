"""What the package promises about its own shape."""

import ast
import pathlib
import subprocess
import sys

import pytest

import st_keras
from st_keras.experiments.reference import api

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "st_keras"
FILES = sorted(PACKAGE.rglob("*.py"))

# A package may import those before it, never those after it.
ORDER = [
    *(
        "submodules",
        "environment",
        "registration",
        "command_line",
        "writing",
        "types",
        "config",
        "ops",
        "losses",
        "metrics",
    ),
    *("models", "data", "tasks", "runtime", "self_training", "training"),
    "experiments",
]
BELOW_CONFIG = ("types", "ops", "losses", "metrics", "models", "data")
HEAVY = ("tensorflow", "tensorflow_datasets", "tensorflow_text", "official", "keras")
LONGEST_FILE, LONGEST_TOOL = 400, 80  # Lines.


def _package(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _modules(path):
    """Yields (line, dotted name) of every import, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def _imports(path):
    """Yields (line, package of ours) of every import."""
    for line, name in _modules(path):
        first, _, rest = name.partition(".")
        if first == "st_keras" and rest:
            yield line, rest.split(".")[0]


def _where(path, line):
    return f"{path.relative_to(ROOT)}:{line}"


def _run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )


def test_every_package_has_its_place_in_the_order():
    found = {_package(path) for path in FILES} - {"__init__"}
    assert found == set(ORDER)


def test_packages_import_only_what_comes_before_them():
    offences = [
        f"{_where(path, line)} imports {used}"
        for path in FILES
        if _package(path) != "__init__"
        for line, used in _imports(path)
        if ORDER.index(used) > ORDER.index(_package(path))
    ]
    assert not offences, "Move the shared part down:\n" + "\n".join(offences)


def test_config_stops_at_the_task():
    offences = [
        f"{_where(path, line)} imports config"
        for path in FILES
        if _package(path) in BELOW_CONFIG
        for line, used in _imports(path)
        if used == "config"
    ]
    assert not offences, "Take plain arguments instead:\n" + "\n".join(offences)


def test_tests_and_packages_import_nothing_from_tools():
    offences = [
        f"{_where(path, line)} imports {name}"
        for path in [*FILES, *(ROOT / "tests").rglob("*.py")]
        for line, name in _modules(path)
        if name.split(".")[0] == "tools"
    ]
    assert not offences, "That code belongs in st_keras:\n" + "\n".join(offences)


def test_no_file_is_too_long_to_read():
    limits = [(path, LONGEST_FILE) for path in FILES]
    limits += [(path, LONGEST_TOOL) for path in (ROOT / "tools").glob("*.py")]
    offences = [
        f"{_where(path, lines)} is over {limit} lines"
        for path, limit in limits
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > limit
    ]
    assert not offences, "\n".join(offences)


def test_nothing_is_called_utils():
    assert not [path for path in FILES if path.stem in ("utils", "util", "helpers")]


@pytest.mark.parametrize("part", ["config", "environment.py", "command_line.py"])
def test_what_must_answer_at_once_names_no_heavy_library(part):
    path = PACKAGE / part
    offences = [
        f"{_where(file, line)} imports {name}"
        for file in (path.rglob("*.py") if path.is_dir() else [path])
        for line, name in _modules(file)
        if name.split(".")[0] in HEAVY
    ]
    assert not offences, "\n".join(offences)


def test_importing_st_keras_and_its_config_is_silent_and_light():
    done = _run(
        "import sys, st_keras, st_keras.config, st_keras.command_line\n"
        f"found = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not found, found"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_name_of_the_reference_is_there_once_st_keras_is_imported():
    wanted = {name: api.members(name) for name in api.FRONT_DOOR}
    done = _run(
        "import functools, st_keras\n"
        "assert {'losses', 'types'} <= set(dir(st_keras))\n"
        "assert {'box_coding', 'nms'} <= set(dir(st_keras.ops))\n"
        "assert {'importing', 'load_weights'} <= set(dir(st_keras.models.weights))\n"
        f"for name, members in {wanted}.items():\n"
        "    module = functools.reduce(getattr, name.split('.')[1:], st_keras)\n"
        "    missing = [m for m in members if not hasattr(module, m)]\n"
        "    assert not missing, (name, missing)"
    )
    assert done.returncode == 0, done.stderr


def test_a_module_that_is_not_there_is_no_attribute():
    with pytest.raises(AttributeError, match="'st_keras.ops' has no attribute 'nmss'"):
        _ = st_keras.ops.nmss


def test_no_module_makes_a_tensor_or_loads_the_model_garden_when_imported():
    # A tensor would start the runtime, and devices cannot be split after that.
    done = _run(
        "import pkgutil, sys, st_keras\n"
        "st_keras.environment.quiet()\n"
        "import tensorflow as tf\n"
        "for module in pkgutil.walk_packages(st_keras.__path__, 'st_keras.'):\n"
        "    __import__(module.name)\n"
        "tf.config.set_logical_device_configuration(\n"
        "    tf.config.list_physical_devices('CPU')[0],\n"
        "    [tf.config.LogicalDeviceConfiguration()] * 2)\n"
        "late = ('official.vision', 'tensorflow_datasets', 'tensorflow_text')\n"
        "found = [name for name in late if name in sys.modules]\n"
        "assert not found, found"
    )
    assert done.returncode == 0, done.stderr


def test_only_the_tasks_know_kinds_of_labels():
    """Loop, labelling, report and tools serve whatever task there is."""
    blind = ("runtime", "self_training", "training", "experiments")
    files = [path for path in FILES if _package(path) in blind]
    # Benchmarks measure what each task does.
    files = [path for path in files if "benchmarks" not in path.parts]
    asked = ("detection", "segmentation", "classification", "simclr")
    offences = []
    for path in [*files, *sorted((ROOT / "tools").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in asked:
                offences.append(f"{_where(path, node.lineno)} asks for .{node.attr}")
        for line, name in _modules(path):
            if name.startswith(tuple(f"st_keras.tasks.{task}" for task in asked)):
                offences.append(f"{_where(path, line)} imports {name}")
    assert not offences, "Give every task a method instead:\n" + "\n".join(offences)
