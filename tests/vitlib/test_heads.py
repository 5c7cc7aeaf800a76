"""Chapter 8's trained heads: what they are given, how they are compared, and that the stored results are theirs."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitlib.data.datasets import digits
from vitlib.recipes.body import BODY, CLASSES, PATCH, ready
from vitlib.recipes.detection import QUERIES, detection_loss, overlap
from vitlib.recipes.heads import results, train_all
from vitlib.recipes.scenes import NOTHING, SIDE, Scenes, scenes
from vitlib.recipes.segmentation import Segmenter
from vitlib.recipes.two_towers import NEW, PAIRS, Pairs


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), test=st.booleans())
def test_every_labelled_pixel_lies_in_the_box_of_its_digit(seed: int, test: bool) -> None:
    some = scenes(4, seed, test)
    assert torch.equal(some.images, scenes(4, seed, test).images)
    for i in range(len(some)):
        rest = some.pixels[i].clone()
        taken = torch.zeros(SIDE, SIDE, dtype=torch.int)
        for digit, box in zip(some.classes[i].tolist(), some.boxes[i] * SIDE, strict=True):
            if digit != NOTHING:
                corners = torch.cat([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2])
                top, left, bottom, right = corners.round().int().tolist()
                place = slice(top, bottom), slice(left, right)
                assert {*some.pixels[i][place].flatten().tolist()} == {digit, NOTHING}
                rest[place] = NOTHING
                taken[place] += 1
        assert (rest == NOTHING).all() and taken.max() == 1  # none elsewhere, and no digit covers another
        assert some.classes[i, 0] != NOTHING


def test_sixteen_scores_of_a_token_lie_on_the_pixels_of_its_patch() -> None:
    model = Segmenter(fine=True).eval()
    images = ready(scenes(2).images)
    with torch.no_grad():
        scores = model.head(model.body.forward_features(images)[:, 1:]).reshape(2, -1, CLASSES, PATCH, PATCH)
        found = model(images)
    for place in (0, 7, BODY.grid.tokens - 1):
        top, left = (PATCH * x for x in divmod(place, BODY.grid.columns))
        assert torch.equal(found[:, :, top : top + PATCH, left : left + PATCH], scores[:, place])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_no_token_is_told_which_thing_it_has_to_find(seed: int) -> None:
    dice, truth = torch.Generator().manual_seed(seed), scenes(3, seed)
    logits, boxes = (torch.randn(3, QUERIES, size, generator=dice) for size in (CLASSES, 4))
    order = torch.randperm(QUERIES, generator=dice)
    swapped = Scenes(truth.images, truth.pixels, truth.classes.flip(1), truth.boxes.flip(1))
    loss = detection_loss(logits, boxes.sigmoid(), truth)
    torch.testing.assert_close(loss, detection_loss(logits[:, order], boxes[:, order].sigmoid(), truth))
    torch.testing.assert_close(loss, detection_loss(logits, boxes.sigmoid(), swapped))


def test_a_detector_that_is_right_has_no_loss() -> None:
    truth = scenes(5)
    logits, boxes = torch.zeros(5, QUERIES, CLASSES), torch.rand(5, QUERIES, 4)
    logits[:, :, NOTHING] = 50
    for i in range(5):
        for slot, digit in enumerate(truth.classes[i].tolist()):
            if digit != NOTHING:
                logits[i, QUERIES - 1 - slot] = 50 * torch.eye(CLASSES)[digit]
                boxes[i, QUERIES - 1 - slot] = truth.boxes[i, slot]
    assert detection_loss(logits, boxes, truth) < 1e-6
    shares = overlap(boxes, truth.boxes)
    assert torch.allclose(shares[:, QUERIES - 1, 0], torch.ones(5))
    half = torch.tensor([[[0.5, 0.25, 1.0, 0.5]]]), torch.tensor([[[0.5, 0.5, 1.0, 1.0]]])
    assert overlap(*half).item() == 0.5


def test_a_picture_of_a_pair_shows_the_two_digits_of_its_caption() -> None:
    pool = digits()[1]
    for pixels, pair in zip(Pairs(seed=3, test=True)(PAIRS[::9]), PAIRS[::9].tolist(), strict=True):
        for half, digit in zip(pixels.split(8, dim=2), pair, strict=True):
            same = (ready(pool.images) == half).flatten(1).all(dim=1)
            assert digit in pool.labels[same].tolist()


def test_every_digit_is_known_on_both_sides_though_twenty_captions_are_new() -> None:
    known = PAIRS[~NEW]
    assert NEW.sum() == 20
    assert all({*known[:, side].tolist()} == {*range(10)} for side in (0, 1))


def test_the_stored_results_are_those_of_the_recipe() -> None:
    few, kept = train_all(seeds=1, updates=2), results()
    assert few.keys() == kept.keys()
    for name in ("coarse", "fine", "detector", "towers"):
        assert few[name].keys() == kept[name].keys()
        spread = [value for key, value in kept[name].items() if key != "shown"]
        assert all(len(each) == kept["seeds"] == 3 for each in spread)
    assert len(kept["detector"]["shown"]) == len(kept["fine"]["shown"]) == kept["shown"]


def test_what_chapter_8_says_of_them_holds_for_every_seed() -> None:
    kept = results()
    assert min(kept["fine"]["border"]) > max(kept["coarse"]["border"]) + 3
    assert min(kept["detector"]["found"]) > 50
    assert min(kept["towers"]["new"]) > 50
