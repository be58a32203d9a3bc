"""Installs st_keras and the exact line of TensorFlow it is built on."""

import pathlib

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent

setup(
    name="st_keras",
    version="0.1.0",
    description=(
        "Self-training for detection and segmentation in TensorFlow/Keras, after "
        "'Rethinking Pre-training and Self-training' (arXiv:2006.06882)."
    ),
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["st_keras", "st_keras.*"]),
    package_data={"st_keras.experiments.tpu": ["pins.txt"]},
    python_requires=">=3.10,<3.12",
    # tensorflow-addons 0.23 needs Keras 2.15, so everything sits on that line.
    # Versions that break it when left free are bounded here; constraints.txt pins
    # the whole environment.
    install_requires=[
        "tensorflow~=2.15.0",  # constraints.txt: 2.15.1; a TPU VM has its image's own.
        "tf-models-official==2.15.0",
        "tensorflow-addons==0.23.0",
        "pycocotools>=2.0.7",
        "absl-py>=1.2,<2",
        "numpy>=1.23.5,<2",
        "scipy<1.15",
        "pandas<2.3",
        "protobuf>=4.21.6,<5",
        "opencv-python-headless<4.12",
        # 1.21 breaks tensorflow-datasets; on Python 3.10 it wants protobuf 4.21.
        "tensorflow-metadata==1.17.0",
        "tensorflow-model-optimization==0.7.5",  # 0.8 brings a second Keras.
        "tensorflow-hub==0.15.0",  # 0.16 brings a second Keras.
        "matplotlib",
        "pillow",
        "pyyaml",
        "scikit-learn",  # Only for the handwritten digits of the demo.
        "tqdm",
    ],
    extras_require={
        "test": ["pytest>=8", "pytest-timeout"],
        "dev": [
            "pytest>=8",
            "pytest-timeout",
            "pytest-xdist",
            "ruff==0.17.6",
            "mkdocs==1.6.1",
        ],
    },
)
