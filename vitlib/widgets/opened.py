"""One attention weight, opened: q · k, divided by √d_k, softmax, and its part of the sum over v."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vitlib.widgets.attention_view import Look, token_name
from vitlib.widgets.pictures import ORANGE, data_uri, full_colour_at, signed_colours


@dataclass(frozen=True, eq=False)
class Opened:
    """The way from a query and a key to a weight, and from the weight to the head's output; d is d_k."""

    query: str  # names
    key: str
    q: Float[Tensor, "d"]
    k: Float[Tensor, "d"]
    v: Float[Tensor, "d"]  # of the key's token
    weights: Float[Tensor, "T"]  # of the query, for all tokens
    token: int  # the key's: which of the weights is opened
    output: Float[Tensor, "d"]  # of the head, for the query: Σ weight · v

    @property
    def weight(self) -> float:
        return float(self.weights[self.token])

    @property
    def dot(self) -> float:
        """q · k."""
        return float(self.q @ self.k)

    @property
    def score(self) -> float:
        """q · k / √d_k."""
        return self.dot / len(self.q) ** 0.5


def opened(seen: Look, layer: int, head: int, query: int, key: int) -> Opened:
    """A weight of a layer and a head, both from 0; tokens count from CLS, 0.

    >>> from vitlib import create
    >>> from vitlib.data.samples import picture
    >>> from vitlib.widgets.attention_view import look
    >>> one = opened(look(create("vit_cifar_patch4_32"), picture("chelsea")), layer=0, head=0, query=27, key=0)
    >>> one.key, len(one.q), one.weights.shape
    ('CLS', 64, torch.Size([65]))
    """
    q, k, v = seen.qkv[:, layer, head]
    names = token_name(query, seen.grid), token_name(key, seen.grid)
    return Opened(*names, q[query], k[key], v[key], seen.maps[layer, head, query], key, seen.mixed[layer, head, query])


def opened_words(one: Opened) -> str:
    """The four steps in a sentence each."""
    d, tokens = len(one.q), len(one.weights)
    return (
        f"The query of {one.query} times the key of {one.key}: q · k = {_number(one.dot)}. Divided by √d_k = √{d} = "
        f"{_number(d**0.5)}, that is the score {_number(one.score)}. Softmax over {tokens} scores makes of it the "
        f"attention weight {one.weight:.1%}. That share of the value v of {one.key} goes into the head's output."
    )


def opened_html(one: Opened) -> str:
    """The steps from top to bottom: what is computed, its numbers as colours, and the result."""
    part = one.weight * one.v
    together = full_colour_at(torch.stack([part, one.output]))
    products = one.q * one.k
    steps = [
        ("q", _strip(one.q), f"{len(one.q)} numbers"),
        ("k", _strip(one.k), f"{len(one.k)} numbers"),
        ("q<sub>i</sub> k<sub>i</sub>", _strip(products), f"sum: q · k = {_number(one.dot)}"),
        ("q · k / √d<sub>k</sub>", f"{_number(one.dot)} / √{len(one.q)}", f"score = <b>{_number(one.score)}</b>"),
        ("softmax", _weights_strip(one), f"weight = <b>{one.weight:.1%}</b>"),
        ("v", _strip(one.v), f"{len(one.v)} numbers"),
        ("weight · v", _strip(part, together), "its part"),
        ("Σ weight · v", _strip(one.output, together), "the head's output"),
    ]
    rows = "".join(f'<div class="vit-right">{name}</div><div>{how}</div><div>{what}</div>' for name, how, what in steps)
    return (
        '<p class="vit-caption"><b>One attention weight, opened</b>: purple below 0, orange above</p>'
        f'<div class="vit-caption vit-steps" aria-hidden="true">{rows}</div>'
        f'<p class="vit-caption" role="status">{opened_words(one)}</p>'
    )


def _strip(numbers: Float[Tensor, "d"], scale: float | None = None) -> str:
    """Numbers as a row of colours."""
    return f'<img class="vit-pixels" src="{data_uri(signed_colours(numbers[None], scale))}" alt="">'


def _weights_strip(one: Opened) -> str:
    """All weights of the query as bars, CLS first; the opened one is orange."""
    largest, paint = float(one.weights.max()), ("currentColor", ORANGE)
    bars = "".join(
        f'<rect x="{token}" y="{1 - weight / largest:.3f}" width=".8" height="{weight / largest:.3f}" '
        f'fill="{paint[token == one.token]}"/>'
        for token, weight in enumerate(one.weights.tolist())
    )
    return (
        f'<svg viewBox="0 0 {len(one.weights)} 1" preserveAspectRatio="none" style="width: 100%; height: 30px; '
        f'display: block">{bars}</svg>'
    )


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
