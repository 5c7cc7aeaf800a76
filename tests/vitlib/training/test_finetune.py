"""Fine-tuning: a new head on a copy, as much of the rest as was asked for, on pictures of another size."""

import pytest
import torch

from vitlib.data.datasets import digits
from vitlib.data.pictures import Pictures
from vitlib.models import create
from vitlib.training.finetune import finetune, with_new_head
from vitlib.training.fit import Recipe, fit

SHORT = Recipe(epochs=1, batch_size=32, lr=1e-3)


@pytest.fixture(scope="module")
def few() -> Pictures:
    return digits()[0].take(slice(0, 64))


def changed(one, other) -> set[str]:
    return {name for name, each in one.named_parameters() if not torch.equal(each, other.get_parameter(name))}


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (0, {"head"}),
        (1, {"head", "norm", "blocks.2"}),
        (None, {"head", "norm", "blocks.2", "blocks.1", "blocks.0", "cls_token", "pos_embed", "patch_embed"}),
    ],
)
def test_what_was_asked_for_learns_and_the_rest_stays(few, blocks, expected):
    model = create("vit_digits_patch2_8", seed=0)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    tuned, _ = finetune(model, few, recipe=SHORT, blocks=blocks, progress=False)
    parts = {".".join(name.split(".")[: 2 if name.startswith("blocks") else 1]) for name in changed(tuned, model)}
    assert parts == expected
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert all(each.requires_grad for each in tuned.parameters())


def test_pictures_of_another_size_get_resized_positions_and_classes_of_their_own(few):
    pairs = Pictures(few.images.repeat(1, 1, 2, 3), few.labels % 2, ("even", "odd"))
    tuned, history = finetune(create("vit_digits_patch2_8", seed=0), pairs, pairs, SHORT, progress=False)
    assert tuned.config.image_size == (16, 24) and tuned.config.num_classes == 2
    assert tuned.pos_embed.shape == (1, 1 + 8 * 12, 48)
    assert len(history.test_accuracy) == 1


def test_lower_layers_move_less(few):
    model = create("vit_digits_patch2_8", seed=0)
    even, steep = (
        finetune(model, few, recipe=Recipe(epochs=1, batch_size=32, layer_decay=each), progress=False)[0]
        for each in (1.0, 0.1)
    )

    def moved(tuned, block):
        return (tuned.blocks[block].mlp.fc1.weight - model.blocks[block].mlp.fc1.weight).norm()

    assert moved(steep, 0) < 0.05 * moved(even, 0)
    assert moved(steep, 0) < moved(steep, 2)


def test_what_was_learned_helps_with_what_comes_next():
    """Trained on the digits below 5, a model learns the others from ten of each better than a fresh one does."""
    train, test = digits()
    low, high = (
        [Pictures(part.images[chosen], part.labels[chosen] % 5, tuple("01234")) for part in (train, test)
         for chosen in [(part.labels < 5) == below]]
        for below in (True, False)
    )  # fmt: skip
    fresh = create("vit_digits_patch2_8", seed=0, num_classes=5)
    knows = create("vit_digits_patch2_8", seed=0, num_classes=5)
    fit(knows, low[0], recipe=Recipe(epochs=3, lr=1e-2, optimizer="muon"), progress=False)
    ten = high[0].take(torch.cat([(high[0].labels == label).nonzero()[:10, 0] for label in range(5)]))
    recipe = Recipe(epochs=10, batch_size=25, lr=3e-3, layer_decay=0.75)
    histories = [finetune(model, ten, high[1], recipe, progress=False)[1] for model in (fresh, knows)]
    assert histories[1].test_accuracy[-1] > histories[0].test_accuracy[-1] + 0.05


def test_a_new_head_is_drawn_from_the_seed():
    model = create("vit_digits_patch2_8", seed=0)
    heads = [with_new_head(model, 3, seed).head.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


def test_what_cannot_be_is_refused(few):
    model = create("vit_digits_patch2_8")
    with pytest.raises(ValueError, match=r"blocks is 4: expected 0 \(the head alone\) to 3"):
        finetune(model, few, blocks=4)
    with pytest.raises(ValueError, match=r"pictures have 1 channels and the model reads 3: .*expand\(-1, 3, -1, -1\)"):
        finetune(create("vit_cifar_patch4_32"), few)
    with pytest.raises(ValueError, match="not a multiple of patch 4"):
        finetune(create("vit_mnist_patch4_28"), Pictures(few.images[:, :, :7], few.labels, few.classes))
