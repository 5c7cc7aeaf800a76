"""Fresh weights: small random numbers, so that at first every class is nearly as likely as any other."""

import torch
from torch import nn


@torch.no_grad()
def init_weights(model: nn.Module, width: int, generator: torch.Generator | None = None) -> None:
    """Draw the weights of a ViT of this width: normal, cut off at ±2, biases 0, scales 1.

    The standard deviation is timm's 0.02 at width 768, and grows with 1 / √width, because a narrow layer adds fewer
    numbers up: without that, the outputs of this book's small models would start too small. The classifier keeps 0.02,
    so that the first loss is near ln K. The patch embedding has 1 / √(P²·C), so that a token varies as a pixel does;
    the prefix tokens start near 0.
    Sources: Dosovitskiy et al., 2021, and their code; Glorot & Bengio, 2010.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            std = 0.02 if name == "head" else 0.02 * (768 / width) ** 0.5
            nn.init.trunc_normal_(module.weight, std=std, generator=generator)
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
            nn.init.trunc_normal_(parameter, std=width**-0.5, generator=generator)
