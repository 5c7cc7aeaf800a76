"""Photos that come with vitlib, of things that CIFAR-10 has a class for: the trained model can know them.

Each is a square of at most 480 × 480 pixels, cut out of a photo that a Debian package brings, with a note of its terms
for that one file: KDE Plasma's user pictures (plasma-workspace, a .license file each), GCompris's animals (its README
files and REUSE.toml) and Tux Paint's stamps (its change log).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Where a bundled picture comes from, in the words of the package that brings it."""

    shows: str  # what one sees
    package: str  # the installed package that holds the file
    file: str  # path inside that package
    author: str  # or the owner
    licence: str  # terms of use
    kind: str = ""  # its class in CIFAR-10, where it has one


def _photo(name: str, kind: str, shows: str, author: str, licence: str) -> Source:
    return Source(f"{shows}, 480 × 480 pixels", "vitlib", f"data/photos/{name}.jpg", author, licence, kind)


_CC0 = "CC0 1.0, https://creativecommons.org/publicdomain/zero/1.0/"
_PEXELS = "https://www.pexels.com/photo"
_COMMONS = "https://commons.wikimedia.org/wiki/File:"

PHOTOS = {
    "car": _photo(
        "car",
        "automobile",
        "a white car on a race track",
        f"Pixabay, 2016, {_PEXELS}/action-asphalt-auto-racing-automobile-274974/; KDE Plasma",
        _CC0,
    ),
    "kingfisher": _photo(
        "kingfisher",
        "bird",
        "a kingfisher on a branch",
        f"Frank-2.0, 2016, {_COMMONS}Eisvogel_kingfisher.jpg; GCompris; cropped",
        _CC0,
    ),
    "kitten": _photo(
        "kitten",
        "cat",
        "a kitten with a ball of wool",
        f"Loliloli, 2008, {_COMMONS}Spielendes_K%C3%A4tzchen.JPG; GCompris; cropped",
        "public domain",
    ),
    "upside_down_cat": _photo(
        "upside_down_cat",
        "cat",
        "a tabby cat on its back",
        f"Skitterphoto, 2018, {_PEXELS}/brown-tabby-cat-on-floor-1457595/; KDE Plasma",
        _CC0,
    ),
    "moose": _photo(
        "moose",
        "deer",
        "a moose, the largest of the deer, lying in a meadow",
        f"Ryan Hagerty, U.S. Fish and Wildlife Service, {_COMMONS}Male_Moose.jpg; GCompris; cropped",
        "public domain",
    ),
    "dog": _photo(
        "dog",
        "dog",
        "the head of a golden retriever",
        f"Snapwire, 2015, {_PEXELS}/animal-dog-pet-tongue-6877/; KDE Plasma",
        _CC0,
    ),
    "horse": _photo(
        "horse",
        "horse",
        "a black horse and a foal in a meadow",
        f"Seth Zeigler, 2011, {_COMMONS}Nokota_Horse_Stud_Band.jpg; GCompris; cropped",
        _CC0,
    ),
    "fire_engine": _photo(
        "fire_engine",
        "truck",
        "a fire engine on white",
        "Aaron M. Lang, https://en.wikipedia.org/wiki/Image:E28_b.JPG; cut out by Bill Kendrick for Tux Paint",
        "CC BY 2.5, https://creativecommons.org/licenses/by/2.5/",
    ),
}
