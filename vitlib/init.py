"""Fresh weights: small random numbers, so that at first every class is nearly as likely as any other."""

import torch
from torch import nn


@torch.no_grad()
def init_weights(model: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw the weights of a ViT as timm does: N(0, 0.02²), cut off at ±2; biases are 0, scales 1.

    The patch embedding is drawn with variance 1 / (P²·C) instead, so that a token varies as a pixel does, and the
    prefix tokens start at almost nothing. Sources: Dosovitskiy et al., 2021, and its code (lecun_normal).
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
        elif isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=module.weight[0].numel() ** -0.5, generator=generator)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif name in ("cls_token", "reg_token"):
            nn.init.normal_(parameter, std=1e-6, generator=generator)
        elif name == "pos_embed":
            nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
        elif name.endswith("latent"):
            nn.init.trunc_normal_(parameter, std=parameter.shape[-1] ** -0.5, generator=generator)
