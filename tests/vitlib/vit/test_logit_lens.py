"""What the head says after each block: the last row is the model's own answer."""

import pytest
import torch
from torch import nn

from vitlib import create
from vitlib.vit.logit_lens import readout


@pytest.mark.parametrize("changes", [{}, {"global_pool": "avg"}, {"global_pool": "avg", "class_token": False}])
def test_there_is_a_row_for_every_depth_and_the_last_is_the_models_answer(changes: dict) -> None:
    model = create("vit_digits_patch2_8", seed=0, **changes)
    images = torch.rand(3, 1, 8, 8)
    rows = readout(model, images)
    assert rows.shape == (3, model.config.depth + 1, 10)
    torch.testing.assert_close(rows[:, -1], model(images))
    assert torch.equal(readout(nn.DataParallel(model), images), rows)


def test_stages_have_no_rows_to_read() -> None:
    with pytest.raises(ValueError, match="a Swin has other tokens in every stage: expected a ViT or Hybrid"):
        readout(create("swin_cifar_patch2_window4_32"), torch.zeros(1, 3, 32, 32))


def test_row_k_is_the_answer_of_the_model_without_the_blocks_behind_it() -> None:
    model = create("vit_digits_patch2_8", seed=0)
    images = torch.rand(3, 1, 8, 8)
    rows = readout(model, images)
    torch.testing.assert_close(rows[:, 0], model.head(model.pool(model.tokens(model.patch_embed(images)))))
    for kept in range(1, model.config.depth):
        shorter = create("vit_digits_patch2_8", depth=kept)
        shorter.load_state_dict(model.state_dict(), strict=False)
        torch.testing.assert_close(rows[:, kept], shorter(images))


def test_without_the_norm_the_head_reads_the_raw_token() -> None:
    model = create("vit_digits_patch2_8", seed=0)
    images = torch.rand(2, 1, 8, 8)
    last = model(images, return_all=True)["blocks.2.+mlp"][:, 0]
    torch.testing.assert_close(readout(model, images, norm=False)[:, -1], model.head(last))
