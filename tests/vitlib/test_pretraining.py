"""The recipes whose results chapter 7 reads: they run, and what is stored is what they would write."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any

import pytest
import torch

from vitlib.data.datasets import digits
from vitlib.data.pictures import normalise
from vitlib.models import create
from vitlib.recipes import few_faces, moved, pretraining, stored
from vitlib.recipes.contrastive import Contrastive
from vitlib.recipes.masked import MaskedAutoencoder
from vitlib.vit.patches import patchify, unpatchify

SHORT = replace(pretraining.PRETRAIN, epochs=1)


@pytest.fixture(params=[True, False], ids=["with CLS", "without CLS"])
def model(request: pytest.FixtureRequest) -> MaskedAutoencoder:
    choices = {} if request.param else {"class_token": False, "global_pool": "avg"}
    return MaskedAutoencoder(create("vit_digits_patch2_8", seed=0, device="cpu", **choices), hidden=0.75, width=16)


def ask(model: MaskedAutoencoder, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)  # hides the same patches each time
    loss, drawn, order = model(pixels)
    return loss, drawn, order


def changed(model: MaskedAutoencoder, pixels: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The pictures with other pixels in these patches, [B, n]."""
    patches = patchify(pixels, 2).clone()
    patches[torch.arange(len(pixels))[:, None], places] += 1
    return unpatchify(patches, model.vit.config.grid, channels=1)


def test_hidden_patches_are_not_seen_and_only_they_are_asked_for(model: MaskedAutoencoder) -> None:
    pixels = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    loss, drawn, order = ask(model, pixels)
    assert model.seen == 4 and (order.sort(dim=1).values == torch.arange(16)).all()
    other_loss, other, _ = ask(model, changed(model, pixels, order[:, 4:]))
    assert torch.equal(drawn, other) and other_loss != loss
    by_hand = torch.stack([(drawn - patchify(pixels, 2))[i, order[i, 4:]] for i in range(5)]).square().mean()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    _, seen_change, _ = ask(model, changed(model, pixels, order[:, :4]))
    assert not torch.allclose(drawn, seen_change, atol=1e-3)


def test_what_is_drawn_lies_in_the_order_of_the_picture(model: MaskedAutoencoder) -> None:
    """Each patch is drawn from its own position: a decoder that only reads positions draws the same in any order."""
    with torch.no_grad():
        model.bridge.weight.zero_(), model.bridge.bias.zero_(), model.mask_token.zero_()
    pixels = torch.zeros(6, 1, 8, 8)
    _, drawn, order = ask(model, pixels)
    assert not torch.equal(order[0], order[1])
    assert torch.allclose(drawn, drawn[:1].expand_as(drawn), atol=1e-5)
    assert not torch.allclose(drawn[0, 0], drawn[0, 1], atol=1e-5)


def test_each_view_picks_its_partner_among_all_others() -> None:
    model = Contrastive(create("vit_digits_patch2_8", seed=0, device="cpu"), width=8, temperature=0.5)
    one, other = torch.randn(2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        read = model.vit.forward_head(model.vit.forward_features(torch.cat([one, other])), pre_logits=True)
        vectors = model.project(read)
        loss = model(one, other)
        by_hand = []
        for i in range(6):
            likeness = {j: torch.cosine_similarity(vectors[i], vectors[j], dim=0) / 0.5 for j in range(6) if j != i}
            by_hand.append(torch.stack([*likeness.values()]).logsumexp(dim=0) - likeness[(i + 3) % 6])
        assert loss.item() == pytest.approx(torch.stack(by_hand).mean().item(), rel=1e-4)
        assert loss.item() == pytest.approx(model(other.flip(0), one.flip(0)).item(), rel=1e-4)


def test_pretraining_lowers_the_loss_and_the_seed_decides() -> None:
    train = digits()[0].take(slice(0, 256))
    short = replace(SHORT, epochs=8)
    (one, losses), (again, _), (other, _) = (pretraining.masked(seed, train, short) for seed in (0, 0, 1))
    assert losses[-1] < 0.9 * losses[0]
    assert torch.equal(one.mask_token, again.mask_token) and not torch.equal(one.mask_token, other.mask_token)
    asked = normalise(train.images[:2], (0.5,), (0.5,)).to(one.mask_token.device)
    assert one.vit(asked).shape == (2, 10) and not one.training


@pytest.mark.parametrize("field", [{"warmup": 0.5}, {"floor": 0.5}, {"weight_decay": 1.0}])
def test_pretraining_heeds_how_the_recipe_moves_the_weights(field: dict[str, float]) -> None:
    train, short = digits()[0].take(slice(0, 256)), replace(SHORT, epochs=3)
    plain, other = (pretraining.masked(0, train, recipe)[1] for recipe in (short, replace(short, **field)))
    assert plain != other


def test_pretraining_refuses_a_layer_decay_that_it_cannot_give() -> None:
    with pytest.raises(ValueError, match="which layer lies above which: leave layer_decay at 1"):
        pretraining.masked(0, digits()[0].take(slice(0, 256)), replace(SHORT, layer_decay=0.5))


def shape_of(found: Any) -> Any:
    """A result without its figures: the names in it, and what stands where; a list of figures has one a seed."""
    if isinstance(found, dict):
        return {name: shape_of(each) for name, each in found.items()}
    if not isinstance(found, list):
        return type(found)
    return "figures" if isinstance(found[0], float) else [shape_of(each) for each in found]


def figures(found: Any) -> list[list[float]]:
    """Every list of figures in a result."""
    if isinstance(found, list) and isinstance(found[0], float):
        return [found]
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, list) else []
    return [each for part in parts for each in figures(part)]


@pytest.mark.parametrize(
    "name, again",
    [
        (
            "pretraining",
            partial(
                pretraining.compare,
                {name: (method, SHORT) for name, (method, _) in pretraining.METHODS.items()},
                length=1,
            ),
        ),
        ("moved", partial(moved.compare, epochs=(1, 2))),
        ("few_faces", partial(few_faces.compare, steps=1)),
    ],
)
def test_what_is_stored_is_what_the_recipe_makes(name: str, again: Callable[..., dict[str, Any]]) -> None:
    before, now = stored.read(name), again(seeds=1)
    assert shape_of(before) == shape_of(now)
    for found in (before, now):
        assert {len(each) for each in figures(found)} == {found["seeds"]}
        right = [share * found["test pictures"] for each in figures(found) for share in each]
        assert right == pytest.approx([round(each) for each in right], abs=1e-3)  # whole digits


@pytest.mark.parametrize("recipe", [moved, pretraining])
def test_a_table_has_a_line_for_each_run(recipe: Any) -> None:
    found = recipe.results()
    lines = recipe.table(found).splitlines()
    assert len(lines) == 1 + len(found.get("ways", found.get("runs")))
    assert all(line.count("±") == lines[1].count("±") > 1 for line in lines[1:])


def test_what_chapter_7_says_of_pretraining_holds_for_what_is_stored() -> None:
    """Means, each with room for the spread of five seeds."""
    ways = {way: {n: fmean(each) for n, each in by.items()} for way, by in pretraining.results()["ways"].items()}
    for method in pretraining.METHODS:
        probe, full = (ways[f"{method}, {kind}"] for kind in ("probe", "full"))
        assert all(probe[n] > ways["untrained, probe"][n] for n in probe)
        assert all(full[n] > ways["scratch"][n] for n in ("5", "10", "50"))
        assert all(ways["pixels, probe"][n] > max(probe[n], full[n]) for n in probe)
