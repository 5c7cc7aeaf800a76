"""From a picture file to a tensor of bytes, upright and in RGB.

Files come from phones, scanners and microscopes. Damaged metadata does not lose the pixels. Values of more than 8 bits
are scaled to 0…255, never clipped; a file whose range is not clear is refused with a reason.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

MAX_PIXELS = 64_000_000  # of one picture; more would be slow to show
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # TIFF tags: bits a channel; is 0 white (0)? are bytes signed (2)?
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(file: Path | bytes, name: str = "") -> UInt8[Tensor, "3 H W"]:
    """The picture in a file, or in the bytes of an uploaded file. `name` stands for it in messages.

    Errors: ValueError for a file that is damaged or not a picture, has more than MAX_PIXELS, or holds numbers whose
    range does not show what is black and what is white.
    """
    name = name or (str(file) if isinstance(file, Path) else "the file")
    content = file if isinstance(file, bytes) else file.read_bytes()
    try:
        return as_tensor(_decoded(content))
    except Image.DecompressionBombError:
        limit = MAX_PIXELS // 1_000_000
        raise ValueError(f"{name} has more than {limit} million pixels; shrink it and try again") from None
    except Image.UnidentifiedImageError:
        kinds = ", ".join(FORMATS)
        raise ValueError(f"{name} is no picture that can be read; save it as one of {kinds}") from None
    except _Unclear as error:
        raise ValueError(f"{name} {error}; save it with 8 bits a channel") from None
    except Exception as error:  # a damaged file meets Pillow's decoders in many ways
        raise ValueError(f"{name} is damaged ({error}); save it again or choose another picture") from None


def as_tensor(image: Image.Image) -> UInt8[Tensor, "3 H W"]:
    """An RGB picture of Pillow's as a tensor."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()  # H W C → C H W


class _Unclear(Exception):
    """The range of the pixel values does not show what is black and what is white."""


def _decoded(content: bytes) -> Image.Image:
    try:
        image = _opened(content)
    except Image.UnidentifiedImageError:
        bare = _without_exif(content)  # Pillow reads a JPEG's resolution there, and fails if it is damaged
        if bare == content:
            raise
        image = _opened(bare)
    turn = UPRIGHT.get(_orientation(image))
    rgb = _rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def _opened(content: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, further pages, and size (MAX_PIXELS is stricter)
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        image.load()
    _scale_transparent(image, content)
    return image


def _scale_transparent(image: Image.Image, content: bytes) -> None:
    """Scale a PNG's transparent colour to 8 bits. Pillow scales the pixels, but leaves this colour as in the file."""
    colour = image.info.get("transparency")
    if image.format == "PNG" and image.mode in ("L", "RGB") and colour is not None:
        bits = content[24]  # a channel
        scaled = [each >> 8 if bits == 16 else each * 255 // (2**bits - 1) for each in np.atleast_1d(colour).tolist()]
        image.info["transparency"] = scaled[0] if image.mode == "L" else tuple(scaled)


def _orientation(image: Image.Image) -> int:
    """EXIF's number, 1 to 8; 1 (upright) if it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged metadata can raise anything
        return 1


def _without_exif(content: bytes) -> bytes:
    """A JPEG without its EXIF segments; any other file unchanged."""
    if not content.startswith(b"\xff\xd8"):
        return content
    kept, at = bytearray(content[:2]), 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:  # up to the pixels
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] != 0xE1:  # APP1: EXIF
            kept += content[at:end]
        at = end
    return bytes(kept) + content[at:]


def _rgb(image: Image.Image) -> Image.Image:
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    signed = image.mode == "L" and tags.get(SAMPLE_FORMAT) == (2,)  # Pillow takes −1 for 255
    if image.mode.startswith("I") or image.mode == "F" or signed:
        numbers = np.asarray(image).view(np.int8) if signed else np.asarray(image)
        grey = _grey(numbers, image.mode, tags.get(BITS, (16,))[0])
        if (transparent := image.info.get("transparency")) is not None:
            grey.paste("white", mask=Image.fromarray(numbers == transparent))
        # Pillow itself inverts only up to 8 bits
        return ImageOps.invert(grey) if tags.get(PHOTOMETRIC) == 0 else grey
    if image.mode == "LAB":
        return _by_profile(image, ImageCms.createProfile("LAB"))
    if image.mode == "CMYK" and (profile := image.info.get("icc_profile")):  # which says how these inks look
        try:
            return _by_profile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError):  # the profile is damaged
            return image.convert("RGB")
    if image.mode in ("La", "RGBa"):  # colours that were multiplied by their opacity
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _by_profile(image: Image.Image, profile: ImageCms.core.CmsProfile | ImageCms.ImageCmsProfile) -> Image.Image:
    """The picture in sRGB; `profile` is the ICC profile of its own colours."""
    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None
    return converted


def _grey(numbers: np.ndarray, mode: str, bits: int) -> Image.Image:
    """A grey picture from numbers that are not bytes. White is 1, 255 or 65535: the least that the numbers allow.

    In the modes "I;16…" the file says how many bits a pixel has, and white is the largest number of so many bits.

    Numbers slightly above a range, such as 0…1.2, are refused: in the next range they would be nearly black.
    """
    if not np.isfinite(numbers).all():
        raise _Unclear("holds numbers that are not finite")
    low, high = numbers.min().item(), numbers.max().item()
    whites = (2**bits - 1,) if mode.startswith("I;16") else (1, 255, 65535) if mode == "F" else (255, 65535)
    white = next((each for each in whites if high <= each), None)
    if low < 0 or white is None or any(each < high < 16 * each for each in whites[:-1]):
        raise _Unclear(f"holds numbers from {low:g} to {high:g}: expected 0…1, 0…255 or 0…65535")
    bytes_ = numbers // 256 if white == 65535 else np.rint(numbers * (255 / white))
    return Image.fromarray(bytes_.astype(np.uint8)).convert("RGB")
