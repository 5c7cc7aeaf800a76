"""Questions about parts of a model. Each part is compared with its formula, then with well-known mistakes."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitlib.backbones.pooled_attention import PooledAttention
from vitlib.backbones.windowed_attention import WindowedAttention
from vitlib.diagnose.case import Case, same
from vitlib.diagnose.report import Finding, alarm, fine, left_out
from vitlib.vit.attention import attention_weights, split_heads
from vitlib.vit.model import ViT

OTHERS = (PooledAttention, WindowedAttention)  # these have other formulas on purpose


def patch_embedding(case: Case) -> Finding:
    """Is each token E x + b of one patch, and are the tokens in the order of the patches?"""
    embed = getattr(case.exact, "patch_embed", None)
    proj = getattr(embed, "proj", None)
    if not isinstance(proj, nn.Conv2d) or proj.kernel_size != proj.stride or hasattr(embed, "backbone"):
        return left_out("the model has no patch embedding that is one linear map")
    with torch.no_grad():
        tokens = embed(case.few)  # type: ignore[misc]
        maps = F.conv2d(case.few, proj.weight, proj.bias, proj.stride)  # B D rows columns
        norm = getattr(embed, "norm", None) or nn.Identity()
        ways = {
            "": maps.flatten(2).mT,
            "the map [B, D, rows, columns] was reshaped to [B, N, D] without a transpose: each token holds numbers of "
            "many patches": maps.reshape(len(maps), -1, maps.shape[1]),
            "the tokens run down the columns": maps.mT.flatten(2).mT,
            "the tokens run from the last patch to the first": maps.flatten(2).mT.flip(1),
        }
        found = _recognise(tokens, {words: norm(way) for words, way in ways.items()})
    if found == "":
        return fine(f"each of {tokens.shape[1]} tokens is E x + b of its own patch")
    return alarm(
        found or "the tokens are not E x + b of the patches",
        "token i is E x + b of patch i, counted row by row",
        "cut, flatten, multiply: maps.flatten(2).transpose(1, 2) brings [B, D, rows, columns] to [B, N, D]",
    )


def attention_formula(case: Case) -> Finding:
    """Does each attention compute softmax(Q Kᵀ / √d_k) V, with heads that split the embedding dimension?"""
    layers = 0
    for name, module, x in _attentions(case):
        layers += 1
        heads, width = _heads(module), x.shape[-1]
        each, inner = width // heads, _inner(module)
        if inner != width:
            return alarm(
                f"{name}: {heads} heads of {inner // heads} numbers each, for tokens of {width}",
                f"{each} numbers a head: the heads share the width, d_k = d / h",
                f"the head's dimension and the token's were confused: make qkv {width} → {3 * width}, or the tokens "
                f"{inner} wide",
            )
        with torch.no_grad():
            found = _recognise(module(x), _ways(module, x))
        if found != "":
            return alarm(
                f"{name}: {found or 'another answer than the formula gives with the same weights'}",
                f"softmax(Q Kᵀ / √{each}) V in each of {heads} heads, joined again, times proj",
                "write it as vitlib.vit.attention.attend does, and compare the two on random numbers",
            )
    if not layers:
        return left_out("no attention with qkv and proj was found")
    return fine(f"{layers} layers compute softmax(Q Kᵀ / √d_k) V")


def attention_focus(case: Case) -> Finding:
    """Is attention neither on a single token nor uniform?"""
    focus, spread = [], []
    for _, module, x in _attentions(case):
        if _inner(module) != x.shape[-1]:
            continue
        with torch.no_grad():
            q, k, _ = _qkv(module, x)
            weights = attention_weights(q, k)  # B h T T
        focus.append(float(weights.amax(dim=-1).mean()))
        spread.append(float(torch.special.entr(weights).sum(dim=-1).mean()) / math.log(max(weights.shape[-1], 2)))
    if not focus:
        return left_out("no attention with qkv and proj was found")
    seen = f"the largest weight of a token is {min(focus):.2f} to {max(focus):.2f} on average, layer by layer"
    if max(focus) > 0.99:
        return alarm(
            f"{seen}: layer {focus.index(max(focus))} looks at one token each",
            "weights that several tokens share",
            "the softmax is saturated, and hardly any gradient comes through: is the scale 1/√d_k there, is the "
            "learning rate too high?",
        )
    if min(spread) > 0.9999 and not case.is_fresh:
        return alarm(
            f"{seen}: all tokens get the same weight, in every layer",
            "a trained model prefers some tokens",
            "have Q and K learned anything? Look at their gradients, and for a scale that is far too small",
        )
    return fine(seen)


def readout(case: Case) -> Finding:
    """Does the head read what the configuration says: CLS, or the mean of the patches, after the final norm?"""
    model = case.exact
    if not isinstance(model, ViT) or model.config.global_pool == "map" or not isinstance(model.head, nn.Linear):
        return left_out("the model is no ViT whose head reads CLS or a mean")
    at: dict[str, Tensor] = {}
    with (
        model.blocks[-1].register_forward_pre_hook(lambda _, args: at.update(row=args[0])),
        model.head.register_forward_pre_hook(lambda _, args: at.update(read=args[0])),
    ):
        case.ask(case.few)
    if at.keys() != {"row", "read"}:
        return left_out("the last block or the head was not called as a part of the model")
    with torch.no_grad():
        rows = model.blocks[-1](at["row"])  # B T D
        norm, first = model.norm, model.config.prefix
        after = norm(rows)
        ways = {
            "CLS": model.fc_norm(after[:, 0]) if first else None,
            "the mean of the patches": model.fc_norm(after[:, first:].mean(dim=1)),
            "the mean of all tokens, CLS among them": model.fc_norm(after.mean(dim=1)),
            "the first patch": model.fc_norm(after[:, first]),
            "the last patch": model.fc_norm(after[:, -1]),
            "CLS without the final norm": rows[:, 0],
            "the mean of the patches without the final norm": rows[:, first:].mean(dim=1),
        }
    found = _recognise(at["read"], {words: way for words, way in ways.items() if way is not None})
    expected = {"token": "CLS", "avg": "the mean of the patches"}[model.config.global_pool]
    if found == expected:
        return fine(f"the head reads {expected}, normalised")
    return alarm(
        f"the head reads {found or 'something else than the last block gives'}",
        f"{expected} behind the final norm (global_pool={model.config.global_pool!r})",
        "pick what the head was trained on: x[:, 0] is CLS; no shape tells you when it is another token",
    )


def _recognise(found: Tensor, ways: dict[str, Tensor]) -> str | None:
    """The name of the formula in `ways` whose result is `found`, or None."""
    return next((words for words, way in ways.items() if same(found, way)), None)


def _heads(module: nn.Module) -> int:
    return int(getattr(module, "heads", 0) or getattr(module, "num_heads", 0))


def _inner(module: nn.Module) -> int:
    """The dimension of the queries of all heads together."""
    return int(cast(nn.Linear, module.qkv).out_features) // 3


def _qkv(module: nn.Module, x: Tensor) -> Tensor:
    """Queries, keys and values: 3 B h T d."""
    return split_heads(cast(nn.Linear, module.qkv)(x), _heads(module), parts=3)


def _attentions(case: Case) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Every plain attention of the model: its name, the module, and its input [B, T, D]."""
    found = [
        (name, module)
        for name, module in case.exact.named_modules()
        if isinstance(getattr(module, "qkv", None), nn.Linear)
        and isinstance(getattr(module, "proj", None), nn.Linear)
        and _heads(module)
        and not isinstance(module, OTHERS)
        and not hasattr(module, "relative_position_bias_table")  # timm's Swin adds a table to the scores
        and isinstance(getattr(module, "q_norm", nn.Identity()), nn.Identity)  # some normalise q and k first
    ]
    reads: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, args: reads.update({name: args[0]})

    with ExitStack() as hooks:
        for name, module in found:
            hooks.enter_context(module.register_forward_pre_hook(keep(name)))
        if found:
            case.ask(case.few)
    yield from ((name, module, reads[name]) for name, module in found if name in reads)


def _ways(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The result of the right formula, named "", and of well-known mistakes, each named by its description."""
    q, k, v = _qkv(module, x)
    raw, d = q @ k.mT, q.shape[-1]  # B h T T
    proj = cast(nn.Linear, module.proj)

    def out(mixed: Tensor) -> Tensor:
        return proj(mixed.transpose(1, 2).flatten(2))

    right = (raw / d**0.5).softmax(-1)
    return {
        "": out(right @ v),
        "the scores are not divided by √d_k": out(raw.softmax(-1) @ v),
        "the scale comes after the softmax, so that no row sums to 1": out(raw.softmax(-1) / d**0.5 @ v),
        "the scores are divided by d_k, not by its root": out((raw / d).softmax(-1) @ v),
        "the scores are multiplied by √d_k": out((raw * d**0.5).softmax(-1) @ v),
        "the scale is that of the whole width, √d": out((raw / x.shape[-1] ** 0.5).softmax(-1) @ v),
        "the softmax runs over the queries": out((raw / d**0.5).softmax(-2) @ v),
        "there is no softmax": out(raw / d**0.5 @ v),
        "the heads are joined without bringing them beside each other first": proj((right @ v).reshape(x.shape)),
    }
