"""The README from a folder of images to what is taken away, as a user types it one line after the other."""

from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from support import documents

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SHORT = ["max_epochs=2", "scheduler.warmup_epochs=0", "accelerator=cpu", "enable_progress_bar=false"]
ELSEWHERE = ("table", "solo-learn", "dino")  # a table's hours, and checkouts of other projects
EXTRAS = {"search": "faiss", "backbone.onnx": "onnxscript"}  # what a word of a command needs


@pytest.fixture
def folder(tmp_path):
    """Digits in class folders, with what else the README names beside them."""
    images, digits = load_digits(return_X_y=True)
    for number, (image, digit) in enumerate(zip(images[:120], digits)):
        place = tmp_path / f"FOLDER/{digit}/{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image.reshape(8, 8) * 15.9).astype("uint8")).resize((32, 32)).convert("RGB").save(place)
    Image.open(place).save(tmp_path / "photo.jpg")
    np.save(tmp_path / "features.npy", np.random.default_rng(0).normal(size=(64, 8)).astype("float32"))
    return tmp_path


def test_from_a_folder_to_what_is_taken_away(folder, here):
    calls = [call for call in documents.commands(documents.ROOT / "README.md") if call[0] not in ELSEWHERE]
    of_ones_own = calls[[program for program, _ in calls].index("check") :]
    assert len(of_ones_own) >= 10
    run = "RUN"
    for program, arguments in of_ones_own:
        words = [word.replace("RUN", run) for word in arguments]
        if any(word in (program, *words) and find_spec(module) is None for word, module in EXTRAS.items()):
            continue
        code, out, error = here(program, *words, *(SHORT if program == "pretrain" else ()))
        assert code == 0, f"{program} {words}: {out}\n{error}"
        if program == "pretrain":
            (found,) = (folder / "runs").glob("*/*/summary.json")
            run = str(found.parent.relative_to(folder))
    assert {p.name for p in folder.iterdir()} >= {"vectors.parquet", "gallery.html", "classes.csv"}
