"""Figures: they show what they are given, say what they show, and refuse what does not fit together."""

import base64
import io
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from vitlib.data.samples import picture, shrink
from vitlib.plotting import Figure, show_grid, show_images, show_tokens
from vitlib.svg import small_svg
from vitlib.vit.patches import PatchGrid, patchify


def noise(channels, height, width):
    seed = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (channels, height, width), dtype=torch.uint8, generator=seed)


def numbers(axes):
    return [int(text.get_text()) for text in axes.texts]


def test_the_grid_is_numbered_row_by_row_from_1():
    axes = show_grid(noise(3, 72, 64), PatchGrid(72, 64, (24, 16))).axes[0]
    assert numbers(axes) == list(range(1, 13))
    places = [text.get_position() for text in axes.texts]
    assert places[1][0] > places[0][0] and places[1][1] == places[0][1]  # 2 stands to the right of 1
    assert places[4][0] == places[0][0] and places[4][1] > places[0][1]  # 5 stands below 1
    assert axes.get_title() == "N = 3 · 4 = 12"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width (pixels)", "height (pixels)")


def test_numbers_too_small_to_read_are_left_out_and_the_title_says_so():
    image, grid = noise(3, 200, 200), PatchGrid(200, 200, 4)
    crowded = show_grid(image, grid).axes[0]
    assert numbers(crowded) == [] and crowded.get_title() == "N = 50 · 50 = 2500, too small to number"
    assert show_grid(image, grid, numbers=False).axes[0].get_title() == "N = 50 · 50 = 2500"


def test_left_over_pixels_are_hatched():
    figure = show_grid(noise(3, 50, 70), PatchGrid(50, 70, 16))
    boxes = [(patch.get_xy(), patch.get_width(), patch.get_height()) for patch in figure.axes[0].patches]
    assert boxes == [((0, 48), 70, 2), ((64, 0), 6, 48)]
    assert all(patch.get_hatch() for patch in figure.axes[0].patches)
    assert figure.axes[0].get_title().endswith("hatched: left over")
    assert "2 pixel rows at the bottom and 6 pixel columns at the right left over" in figure.description


@pytest.mark.parametrize("shape", [(1, 32, 48), (3, 32, 48)])
def test_bytes_and_floats_and_grey_look_alike(shape):
    image = noise(*shape)
    by_bytes = show_grid(image, PatchGrid(32, 48, 16)).axes[0].images[0].get_array()
    by_floats = show_grid(image / 255, PatchGrid(32, 48, 16)).axes[0].images[0].get_array()
    assert by_bytes.shape == (32, 48, 3)
    assert np.allclose(by_bytes / 255, by_floats)


@pytest.mark.parametrize(
    ("side", "shown", "drawn"),
    [
        (16, 8, ["1", "2", "3", "4", "5", "6", "7", "8", "…", "24"]),
        (16, 2, ["1", "2", "…", "24"]),
        (16, 23, [str(token) for token in range(1, 25)]),  # nothing lies between: no ellipsis
        (32, 8, ["1", "2", "3", "4", "5", "6"]),
    ],
)
def test_the_token_row_shows_the_first_patches_and_the_last(side, shown, drawn):
    image = noise(3, 64, 96)
    grid = PatchGrid(64, 96, side)
    figure = show_tokens(patchify(image[None], side)[0], grid, shown=shown)
    labels = [axes.get_title() or axes.texts[0].get_text() for axes in figure.axes]
    assert labels == drawn
    last = figure.axes[-1].images[0].get_array()
    assert np.array_equal(last, image[:, -side:, -side:].permute(1, 2, 0).numpy())


def test_pictures_side_by_side_share_one_scale():
    figure = show_images([noise(3, 40, 60), noise(3, 20, 30)], ["whole", "half"])
    figure.draw_without_rendering()
    widths = [axes.get_window_extent().width for axes in figure.axes]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.05)
    assert figure.description == "Side by side: whole, 40 × 60 pixels; half, 20 × 30 pixels."


def drawing(markup):
    """The SVG in an <img>, read as XML."""
    return ElementTree.fromstring(unquote(re.search(r'src="data:image/svg\+xml,([^"]+)"', markup)[1]))


def test_a_notebook_gets_a_sharp_figure_with_its_description():
    figure = show_grid(noise(3, 32, 32), PatchGrid(32, 32, 16))
    figure.description = 'N < 5, "small"'
    data, metadata = figure._repr_mimebundle_()
    assert (
        'alt="N &lt; 5, &quot;small&quot;"' in data["text/html"]
        and "max-width: 100%; min-width: 356px" in data["text/html"]
    )
    assert drawing(data["text/html"]).tag.endswith("svg")
    ((kind, words),) = metadata.items()
    assert words["alt"] == data["text/plain"] == figure.description
    assert Image.open(io.BytesIO(base64.b64decode(data[kind]))).format == kind.removeprefix("image/").upper()


def test_beside_it_stands_a_small_file_of_the_kind_that_suits_it():
    chart = Figure(figsize=(4, 3))
    chart.subplots().plot([1, 2])
    photo = show_images([picture("coffee")], ["a cup"])
    assert [figure.small()[0] for figure in (chart, photo)] == ["image/png", "image/jpeg"]


def test_a_figure_is_drawn_alike_on_every_run_and_without_fonts_or_network():
    first, second = (show_tokens(torch.zeros(4, 768), PatchGrid(32, 32, 16)).svg() for _ in range(2))
    assert first == second
    assert "<text" not in first and "font-family" not in first and "<metadata" not in first and "<!--" not in first
    addresses = re.findall(r'(?:href|src)="([^"]+)"', first)
    assert addresses and all(address.startswith(("#", "data:")) for address in addresses)


def pictures_in(svg):
    found = re.findall(r"data:image/(\w+);base64,([^\"]+)", svg)
    return [(kind, Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")) for kind, data in found]


def test_few_pixels_are_stored_as_they_are():
    image = noise(3, 8, 8)
    ((kind, stored),) = pictures_in(show_images([image], ["noise"]).svg())
    assert kind == "png" and np.array_equal(np.asarray(stored), image.permute(1, 2, 0).numpy())


def test_a_picture_of_a_models_size_keeps_every_colour():
    """Faint noise, which a lossy WebP would smooth, as it lets patches run into the white between them."""
    image = noise(3, 40, 36) // 32 + 124
    ((_, stored),) = pictures_in(show_images([image], ["noise"]).svg())
    assert np.array_equal(np.asarray(stored), image.permute(1, 2, 0).numpy())


def test_a_table_of_colours_keeps_each_colour():
    """A photograph's WebP would mix the colours of neighbours, and none of them would be the colour bar's."""
    figure, table = Figure(figsize=(4, 4)), np.sin(np.outer(np.arange(64), np.arange(64) / 10))
    image = figure.subplots().imshow(table, cmap="cividis")
    ((_, stored),) = pictures_in(figure.svg())
    assert np.array_equal(np.asarray(stored), image.to_rgba(table, bytes=True)[..., :3])


def test_a_photograph_is_nearly_the_same_and_takes_little_room():
    cat = picture("chelsea")
    svg = show_grid(cat, PatchGrid(300, 451, 50)).svg()
    ((kind, stored),) = pictures_in(svg)
    assert kind == "webp" and len(svg) < 100_000
    assert stored.size == (451, 300) and "pixelated" not in svg  # its own pixels, which the page enlarges smoothly
    assert np.abs(np.asarray(stored, dtype=float) - cat.permute(1, 2, 0).numpy()).mean() < 3  # of 255


def test_a_small_photograph_of_fine_patterns_takes_little_room_too():
    """At the usual quality its squares would change their colours."""
    dog = shrink(picture("dog"), 100)
    ((kind, stored),) = pictures_in(show_images([dog], ["dog"]).svg())
    assert kind == "webp"
    assert np.abs(np.asarray(stored, dtype=float) - dog.permute(1, 2, 0).numpy()).mean() < 4  # of 255


def test_a_photograph_that_is_drawn_twice_is_stored_once():
    cat = picture("chelsea")
    once, twice = (show_images([cat] * number, ["cat"] * number).svg() for number in (1, 2))
    assert len(pictures_in(twice)) == 1 and len(twice) < len(once) + 20_000
    drawn = ElementTree.fromstring(twice)
    (image,) = drawn.findall(".//{*}defs/{*}image")
    places = [
        use.get("transform")
        for use in drawn.findall(".//{*}use")
        if use.get("{http://www.w3.org/1999/xlink}href") == f"#{image.get('id')}"
    ]
    assert len(places) == len(set(places)) == 2 and image.get("transform") is None


def test_two_colour_bars_alike_stand_side_by_side():
    bars = [f'<image id="bar" transform="scale(1 -1)" x="{x}" y="-9.5" width="80" height="6"/>' for x in (20.5, 160)]
    drawn = ElementTree.fromstring(small_svg(f"<svg xmlns:xlink='http://www.w3.org/1999/xlink'>{''.join(bars)}</svg>"))
    (image,) = drawn.findall(".//defs/image")
    assert image.keys() == ["id", "width", "height"]
    assert [(use.get("x"), use.get("y")) for use in drawn.iter("use")] == [("20.5", "-9.5"), ("160", "-9.5")]


def test_a_photograph_larger_than_its_place_is_stored_smaller():
    svg = show_images([noise(3, 600, 900), noise(3, 600, 900)], ["left", "right"]).svg()
    assert all(stored.width < 700 for _, stored in pictures_in(svg))


@pytest.mark.usefixtures("as_a_learner")
def test_what_does_not_fit_together_gets_one_clear_line():
    with pytest.raises(ValueError, match=r"image has shape \(3, 32, 48\): expected \(C, 32, 32\), the size"):
        show_grid(noise(3, 32, 48), PatchGrid(32, 32, 16))
    with pytest.raises(ValueError, match=r"image has 2 channels: expected 1 \(grey\) or 3"):
        show_grid(noise(2, 32, 32), PatchGrid(32, 32, 16))
    with pytest.raises(ValueError, match=r"patches have shape \(1, 4, 768\): expected \(4, 768\), the patches of one"):
        show_tokens(torch.zeros(1, 4, 768), PatchGrid(32, 32, 16))
    with pytest.raises(ValueError, match="2 images with 1 titles: expected one title for each image"):
        show_images([noise(3, 8, 8), noise(3, 8, 8)], ["one"])
