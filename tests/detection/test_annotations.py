"""Images with boxes: what is read, what is refused in a line."""

import codecs
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cplearn_solo.core.errors import InputError
from cplearn_solo.data.decoding.image import STANDARD, Decoding
from cplearn_solo.detection.annotations import read_coco, require_same_categories
from cplearn_solo.detection.dataset import AnnotatedImages, Steps
from cplearn_solo.detection.scenes import SIZE, draw_scenes
from cplearn_solo.detection.schema import Annotated, check_annotated

pytest.importorskip("pycocotools", reason="pycocotools, of the extra detection, is not installed")


def read(file, images=None, *, masks=True):
    return read_coco(file, images, key="data.train", masks=masks)


def test_boxes_labels_and_masks_are_those_of_the_file(written):
    found = read(written())
    assert found.categories == {5: "hat", 9: "cup"}
    images = AnnotatedImages(found, STANDARD, masks=True, with_objects=True)
    assert len(images) == 1  # a crowd is nothing to learn from
    image, target = images[0]
    assert image.shape == (3, 30, 40) and image[2].max() == pytest.approx(128 / 255)
    assert target["labels"].tolist() == [2, 1]
    assert target["boxes"].tolist() == [[4, 5, 14, 13], [20, 10, 40, 20]]  # one stuck out by half a pixel
    assert target["masks"].shape == (2, 30, 40) and target["masks"][0].sum() == 80
    assert target["masks"][0, 5:13, 4:14].all()
    everything = AnnotatedImages(found, STANDARD, masks=True, with_objects=False)
    assert everything[1][1]["boxes"].shape == (0, 4) and everything[1][1]["masks"].shape == (0, 30, 40)


def test_a_byte_order_mark_before_json_is_no_mistake(values, written):
    file = Path(written())
    file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    assert read(str(file)).categories == {5: "hat", 9: "cup"}


def test_images_lie_where_coco_has_them(values, written, tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val2017").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / name).rename(tmp_path / "val2017" / name)
    assert read(written("annotations/instances_val2017.json")).folder == tmp_path / "val2017"
    assert read(written("x.json"), str(tmp_path / "val2017")).folder == tmp_path / "val2017"
    with pytest.raises(InputError, match=r"image = 'a.png': must be a file in .*: data.train_images=FOLDER .* 2 of 2"):
        read(written("y.json"))


def spoil(values, kind, place, **changes):
    values[kind][place] |= changes
    return values


@pytest.mark.parametrize(
    "kind, changes, words",
    [
        ("annotations", {"bbox": [30, 5, 20, 8]}, "annotation 0, bbox = [30, 5, 20, 8]: must be [x, y, width, height]"),
        ("annotations", {"bbox": [-3, 5, 8, 8]}, "inside of a.png, 40 x 30 pixels: correct or remove it"),
        ("annotations", {"image_id": 99}, "annotation 0, image_id = 99: must be the id of an image"),
        ("annotations", {"category_id": 99}, "annotation 0, category_id = 99: must be that of a category"),
        ("annotations", {"segmentation": []}, "model.name=faster_rcnn does without masks"),
        ("annotations", {"segmentation": [[]]}, "segmentation = [[]]: must be polygons, or a run-length code of 40 x"),
        ("annotations", {"segmentation": [[1, 2, 3, 4]]}, "annotation 0, segmentation = [[1, 2, 3, 4]]: must be"),
        ("annotations", {"segmentation": {"size": [40, 30], "counts": [1200]}}, "a run-length code of 40 x 30 pixels"),
        ("annotations", {"id": 1}, "id of annotations = 1: must be there once"),
        ("annotations", {"bbox": None}, "must be COCO's format"),
        ("images", {"file_name": "no.png"}, "image = 'no.png': must be a file in"),
        ("images", {"width": None}, "must be COCO's format"),
    ],
)
def test_mistakes_are_one_line(kind, changes, words, values, written):
    spoil(values, kind, 0, **changes)
    with pytest.raises(InputError, match=re.escape(words)) as told:
        read(written())
    assert "\n" not in str(told.value) and str(told.value).startswith("data.train")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"images": [], "categories": [1], "annotations": [1]}'])
def test_other_files_are_refused(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match="data.train"):
        read(str(tmp_path / "x.json"))


@pytest.mark.parametrize("file", ["no.json", 1, ["a.json", "b.json"]])
def test_missing_files_are_told_before_anything_is_read(file, written):
    there, wanted = written(), "must be a file of annotations in COCO's format"
    with pytest.raises(InputError, match=wanted):
        read(file)
    for which in ({"train": file, "val": there}, {"train": there, "val": file}):
        with pytest.raises(InputError, match=wanted):
            check_annotated(Annotated(**which))
    with pytest.raises(InputError, match="^data.val_images = 'nowhere': must be a folder$"):
        check_annotated(Annotated(train=there, val=there, val_images="nowhere"))
    check_annotated(Annotated(train=there, val=there))
    check_annotated(Annotated(dataset="voc", train=["2007_trainval"], val=["2007_test"]))


def test_an_image_of_another_size_is_told(written, tmp_path):
    Image.new("RGB", (30, 40)).save(tmp_path / "a.png")
    images = AnnotatedImages(read(written()), STANDARD, masks=False, with_objects=True)
    with pytest.raises(InputError, match="'a.png': must be of 40 x 30 pixels, as data.train says, and is of 30 x 40"):
        images[0]


def test_an_image_that_cannot_be_read_is_told(written, tmp_path):
    images = AnnotatedImages(read(written()), STANDARD, masks=False, with_objects=True)
    for content in (b"", b"no image", (tmp_path / "a.png").read_bytes()[:60]):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(InputError, match=r"^unreadable image .*a\.png: ."):
            images[0]


def test_images_are_read_as_the_run_reads_its_own(written, tmp_path):
    """Pillow's own conversion made 16 bits white, showed what is behind transparent pixels, and knew no limit."""
    ramp = np.linspace(0, 65535, 30 * 40).reshape(30, 40)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "a.png")
    clear = np.zeros((30, 40, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "b.png")

    def pixels(**how):
        images = AnnotatedImages(read(written()), Decoding(**how), masks=False, with_objects=False)
        return [image * 255 for image, _ in images]

    deep, blank = pixels()
    assert np.abs(deep.numpy() - ramp / 257).max() <= 0.51 and (blank == 255).all()
    deep, blank = pixels(limits=(0, 131070), background=(0, 0, 255))
    assert np.abs(deep.numpy() - ramp / 514).max() <= 0.51 and blank[:, 0, 0].tolist() == [0, 0, 255]
    wanted = r"^data.max_pixels of the run = 1000: must be higher for .*a\.png, or the file is no image$"
    with pytest.raises(InputError, match=wanted):
        pixels(max_pixels=1000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_images_are_taken_as_stored_whatever_orientation_their_metadata_says(kind, written, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down, which no size tells
    stored = np.zeros((30, 40, 3), np.uint8)
    stored[:16] = 200
    Image.fromarray(stored).save(tmp_path / "a.png", kind, exif=exif)
    image, _ = AnnotatedImages(read(written()), STANDARD, masks=False, with_objects=True)[0]
    assert np.abs(image.permute(1, 2, 0).numpy() * 255 - stored).max() <= 2


@pytest.mark.parametrize("box", [[40, 5, 1, 8], [-1, 5, 1, 8], [4, 30, 8, 1], [4, 5, 8, 0], [4, 5, 1e-7, 8]])
def test_a_box_of_which_nothing_is_inside_is_not_trained_on(box, values, written):
    spoil(values, "annotations", 1, bbox=box)
    ((_, target),) = [AnnotatedImages(read(written()), STANDARD, masks=False, with_objects=True)[0]]
    assert target["boxes"].tolist() == [[4, 5, 14, 13]]


def test_images_to_score_without_a_box_to_find_are_told(values, written):
    train = read(written())
    values["annotations"] = values["annotations"][2:]
    with pytest.raises(InputError, match="annotations = 1: must be with a box that has area and is no crowd"):
        require_same_categories(train, read(written("crowds.json")))


def test_categories_without_boxes_and_other_categories_are_told(values, written, capsys):
    train = read(written())
    spoil(values, "annotations", 0, category_id=5)
    val = read(written("other.json"))
    require_same_categories(train, val)
    assert "has no box of cup: AP is the mean of the other categories" in capsys.readouterr().out
    with pytest.raises(InputError, match="categories = 'cup': must be with a box in data.train: remove it"):
        require_same_categories(val, train)
    spoil(values, "categories", 0, name="mug")
    with pytest.raises(InputError, match="category [59] = 'mug': must be '(hat|cup)', as in data.train"):
        require_same_categories(train, read(written("third.json")))


def test_scenes_are_a_function_of_the_seed(tmp_path):
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        draw_scenes(tmp_path / name, 3, seed)
    files = [f"{part}/{number:05}.png" for part in ("train", "val") for number in range(3)]
    for file in ("train.json", "val.json", *files):
        one, same, other = ((tmp_path / name / file).read_bytes() for name in ("one", "same", "other"))
        assert one == same and one != other
    found = read(str(tmp_path / "one/train.json"))
    for image, target in AnnotatedImages(found, STANDARD, masks=True, with_objects=True):
        assert image.shape == (3, SIZE, SIZE) and len(target["boxes"]) >= 1
        for box, mask in zip(target["boxes"].int(), target["masks"]):
            rows, columns = mask.nonzero(as_tuple=True)
            assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == box.tolist()
        assert target["masks"].sum(dim=0).max() == 1  # no digit hides another


def test_the_order_of_images_is_a_function_of_the_step():
    how = {"batch_size": 4, "steps": 7, "seed": 2}
    whole = list(Steps(10, first=0, **how))
    assert list(Steps(10, first=3, **how)) == whole[3:]
    flat = [image for batch in whole for image in batch]
    assert sorted(flat[:10]) == sorted(flat[10:20]) == list(range(10)) and flat[:10] != flat[10:20]
    halves = [list(Steps(10, first=0, rank=rank, world=2, **how)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*halves)] == [sorted(batch) for batch in whole]
    assert torch.tensor(halves[0]).shape == (7, 2)
