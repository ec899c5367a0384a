"""Packaging; ``scripts/`` is installed as ``cplearn_solo/scripts``: an installed copy has the configurations."""

import platform
import re
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
(VERSION,) = re.findall(r'^__version__ = "(.+)"', (HERE / "cplearn_solo/__init__.py").read_text(), re.MULTILINE)

# Compiler flags by torch's name for a CPU's vector units. Without a compiler, the objective is only slower.
VECTORS = {"avx2": "-march=haswell", "avx512": "-march=skylake-avx512"}
LOOKUP = [
    Extension(
        f"cplearn_solo.objective.lookup._lookup_{vectors}",
        ["cplearn_solo/objective/lookup/lookup.cpp"],
        depends=["cplearn_solo/objective/lookup/lookup.h"],
        extra_compile_args=["-O3", "-std=c++17", "-Wno-psabi", flag],
        optional=True,
    )
    for vectors, flag in VECTORS.items()
    if platform.machine() == "x86_64" and sys.platform == "linux"
]

setup(
    name="cplearn-solo",
    version=VERSION,
    description="CPLearn and its baselines: self-supervised representations that do not collapse",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[*find_packages(include=["cplearn_solo*"]), "cplearn_solo.scripts"],
    package_dir={"cplearn_solo.scripts": "scripts"},
    package_data={
        "cplearn_solo": ["py.typed"],
        "cplearn_solo.scripts": ["**/*.yaml", "slurm/*.sh"],
        "cplearn_solo.tables": ["papers/*.yaml"],
        "cplearn_solo.pages": ["templates/*"],
    },
    ext_modules=LOOKUP,
    install_requires=[
        "torch>=2.6",
        "torchvision>=0.21",
        "lightning>=2.6",
        "hydra-core>=1.3",
        "omegaconf>=2.3",
        "pyyaml>=6.0.1",
        "timm>=1.0.9",
        "numpy>=1.26",
        "scipy>=1.11.4",
        "safetensors>=0.4",
        "lightly>=1.6,<1.7",
        "scikit-learn>=1.4",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "pillow>=11.3",
        "pyarrow>=15",
        "filelock>=3.12",
        "joblib>=1.2",
        "rich>=14.3",
        "tqdm>=4.60",
    ],
    extras_require={
        "dev": [
            *("pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100"),
            *("ruff>=0.9", "build>=1.2", "mypy>=1.13", "pre-commit>=4"),
        ],
        "docs": ["mkdocs-material>=9.7,<10", "mkdocstrings[python]>=1.0"],
        "bands": ["tifffile>=2023.2"],
        "heif": ["pillow-heif>=0.20"],
        "wandb": ["wandb>=0.17"],
        "tensorboard": ["tensorboard>=2.15"],
        "slurm": ["hydra-submitit-launcher>=1.2"],
        "hub": ["datasets>=2.19"],
        "onnx": ["onnx>=1.17", "onnxscript>=0.2", "onnxruntime>=1.20"],
        "search": ["faiss-cpu>=1.9"],
        "completion": ["argcomplete>=3"],
        "tune": ["optuna>=4"],
        "llm": ["transformers>=5", "accelerate>=1", "peft>=0.17"],
        "detection": ["pycocotools>=2.0.8"],
        "umap": ["umap-learn>=0.5"],
    },
    entry_points={"console_scripts": ["cplearn=cplearn_solo.cli:main"]},
)
