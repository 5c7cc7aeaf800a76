"""Google's files: the published parameter tree, computed by numpy as the Flax modules do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.vitlib.reference.make import images, uniform
from tests.vitlib.weights.test_parity import assert_same
from vitlib.weights import load


def gelu(x: np.ndarray) -> np.ndarray:
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


class Flax:
    """A Vision Transformer in numpy, over a flat {path: array} of parameters; pictures are [B, H, W, C]."""

    def __init__(self, parameters: dict[str, np.ndarray], numbers: tuple[int, int, int]) -> None:
        self.parameters = parameters
        self.numbers = numbers  # of attention, second norm and MLP in the names of a block

    def __getitem__(self, path: str) -> np.ndarray:
        return self.parameters[path].astype(np.float64)

    def norm(self, x: np.ndarray, at: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * self[f"{at}/scale"] + self[f"{at}/bias"]

    def attention(self, q: np.ndarray, x: np.ndarray, at: str) -> np.ndarray:
        query, key, value = (
            np.einsum("bld,dhk->bhlk", inputs, self[f"{at}/{part}/kernel"]) + self[f"{at}/{part}/bias"][:, None]
            for part, inputs in (("query", q), ("key", x), ("value", x))
        )
        looks = softmax(np.einsum("bhqk,bhlk->bhql", query, key) / np.sqrt(query.shape[-1]))
        seen = np.einsum("bhql,bhlk->bqhk", looks, value)
        return np.einsum("bqhk,hkd->bqd", seen, self[f"{at}/out/kernel"]) + self[f"{at}/out/bias"]

    def mlp(self, x: np.ndarray, at: str) -> np.ndarray:
        hidden = gelu(x @ self[f"{at}/Dense_0/kernel"] + self[f"{at}/Dense_0/bias"])
        return hidden @ self[f"{at}/Dense_1/kernel"] + self[f"{at}/Dense_1/bias"]

    def embed(self, pictures: np.ndarray) -> np.ndarray:
        kernel = self["embedding/kernel"]  # ph pw C D
        (ph, pw, _, _), (b, h, w, c) = kernel.shape, pictures.shape
        tiles = pictures.reshape(b, h // ph, ph, w // pw, pw, c)
        return np.einsum("bipjqc,pqcd->bijd", tiles, kernel).reshape(b, -1, kernel.shape[-1]) + self["embedding/bias"]

    def encode(self, x: np.ndarray, depth: int) -> np.ndarray:
        attention, norm, mlp = self.numbers
        for i in range(depth):
            at = f"Transformer/encoderblock_{i}"
            y = self.norm(x, f"{at}/LayerNorm_0")
            x = x + self.attention(y, y, f"{at}/MultiHeadDotProductAttention_{attention}")
            x = x + self.mlp(self.norm(x, f"{at}/LayerNorm_{norm}"), f"{at}/MlpBlock_{mlp}")
        return self.norm(x, "Transformer/encoder_norm")

    def head(self, x: np.ndarray) -> np.ndarray:
        return x @ self["head/kernel"] + self["head/bias"]


D, HEADS, HIDDEN, DEPTH, SIDE = 32, 4, 48, 2, 4


def flax_shapes(attention: int, norm2: int, mlp: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"embedding/kernel": (8, 8, 3, D), "embedding/bias": (D,)}
    for i in range(DEPTH):
        at = f"Transformer/encoderblock_{i}"
        shapes |= flax_attention_shapes(f"{at}/MultiHeadDotProductAttention_{attention}")
        shapes |= flax_mlp_shapes(f"{at}/MlpBlock_{mlp}")
        shapes |= {f"{at}/LayerNorm_{j}/{leaf}": (D,) for j in (0, norm2) for leaf in ("scale", "bias")}
    shapes |= {f"Transformer/encoder_norm/{leaf}": (D,) for leaf in ("scale", "bias")}
    return shapes | {"head/kernel": (D, 5), "head/bias": (5,)}


def flax_attention_shapes(at: str) -> dict[str, tuple[int, ...]]:
    parts = ("query", "key", "value")
    shapes: dict[str, tuple[int, ...]] = {f"{at}/{part}/kernel": (D, HEADS, D // HEADS) for part in parts}
    shapes |= {f"{at}/{part}/bias": (HEADS, D // HEADS) for part in parts}
    return shapes | {f"{at}/out/kernel": (HEADS, D // HEADS, D), f"{at}/out/bias": (D,)}


def flax_mlp_shapes(at: str) -> dict[str, tuple[int, ...]]:
    return {
        f"{at}/Dense_0/kernel": (D, HIDDEN), f"{at}/Dense_0/bias": (HIDDEN,),
        f"{at}/Dense_1/kernel": (HIDDEN, D), f"{at}/Dense_1/bias": (D,),
    }  # fmt: skip


def flax_parameters(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Values by formula, of the size that keeps the activations' scale."""
    parameters = {}
    for name, shape in shapes.items():
        array = uniform(name, shape).numpy()
        if name.endswith("scale"):
            array = 1 + array / 4
        elif name.endswith("kernel"):
            array = array * np.float32(np.sqrt(3 * D / np.prod(shape)) if "out" in name else np.sqrt(3 / D))
        parameters[name] = array / 2
    return parameters


def channels_last(pictures: Tensor) -> np.ndarray:
    return pictures.permute(0, 2, 3, 1).double().numpy()


@pytest.mark.parametrize(
    ("prefix", "numbers"),
    [("", (1, 2, 3)), ("opt/target/", (1, 2, 3)), ("params/", (0, 1, 0))],
    ids=["published", "with the optimizer's root", "as Flax numbers its modules today"],
)
def test_google_npz(prefix: str, numbers: tuple[int, int, int], tmp_path: Path) -> None:
    positions = {"Transformer/posembed_input/pos_embedding": (1, 1 + SIDE * SIDE, D)}
    parameters = flax_parameters(flax_shapes(*numbers) | positions | {"cls": (1, 1, D)})
    flax, pictures = Flax(parameters, numbers), images(3, 32, 32)
    x = flax.embed(channels_last(pictures))
    x = np.concatenate([np.broadcast_to(flax["cls"], (len(x), 1, D)), x], axis=1)
    x = flax.encode(x + flax["Transformer/posembed_input/pos_embedding"], DEPTH)
    logits = flax.head(x[:, 0])

    np.savez(tmp_path / "vit.npz", **{prefix + name: array for name, array in parameters.items()})
    model = load(tmp_path / "vit.npz")  # the heads are in the shapes
    assert (model.config.num_heads, model.config.gelu, model.config.resize) == (HEADS, "tanh", "google")
    assert_same(model, pictures, torch.from_numpy(logits).float(), within=1e-4)


@pytest.mark.parametrize("pooling", ["tok", "gap", "map"])
@pytest.mark.parametrize("scan", [False, True])
def test_big_vision_npz(pooling: str, scan: bool, tmp_path: Path) -> None:
    shapes = flax_shapes(0, 1, 0) | {"pos_embedding": (1, SIDE * SIDE, D)}
    if pooling == "tok":
        shapes |= {"cls": (1, 1, D)}
    if pooling == "map":
        shapes |= flax_attention_shapes("MAPHead_0/MultiHeadDotProductAttention_0")
        shapes |= flax_mlp_shapes("MAPHead_0/MlpBlock_0")
        shapes |= {"MAPHead_0/probe": (1, 1, D)}
        shapes |= {f"MAPHead_0/LayerNorm_0/{leaf}": (D,) for leaf in ("scale", "bias")}
    parameters = flax_parameters(shapes)
    flax, pictures = Flax(parameters, (0, 1, 0)), images(3, 32, 32)
    x = flax.embed(channels_last(pictures)) + flax["pos_embedding"]
    if pooling == "tok":
        x = np.concatenate([np.broadcast_to(flax["cls"], (len(x), 1, D)), x], axis=1)
    x = flax.encode(x, DEPTH)
    if pooling == "map":
        probe = np.broadcast_to(flax["MAPHead_0/probe"], (len(x), 1, D))
        x = flax.attention(probe, x, "MAPHead_0/MultiHeadDotProductAttention_0")
        x = x + flax.mlp(flax.norm(x, "MAPHead_0/LayerNorm_0"), "MAPHead_0/MlpBlock_0")
    logits = flax.head(x.mean(1) if pooling == "gap" else x[:, 0])

    if scan:  # one array for all blocks, with the block as its first axis
        block = "Transformer/encoderblock_0/"
        for name in [name for name in parameters if name.startswith(block)]:
            stack = [parameters.pop(name.replace("_0/", f"_{i}/", 1)) for i in range(DEPTH)]
            parameters[name.replace("encoderblock_0", "encoderblock")] = np.stack(stack)
    np.savez(tmp_path / "vit.npz", **parameters)
    assert_same(load(tmp_path / "vit.npz"), pictures, torch.from_numpy(logits).float(), within=1e-4)
