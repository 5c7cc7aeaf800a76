"""The pictures that come with vitlib: files, sources and licences.

- PHOTOS show things that CIFAR-10 has a class for, so that the trained model can recognise them. Each is a square of
  480 × 480 pixels, cropped from a photo in a Debian package that states the licence of that file: KDE Plasma's user
  pictures (plasma-workspace, a .license file each), GCompris's animals (its README files and REUSE.toml) and Tux
  Paint's stamps (its change log).
- The others of PICTURES are files of scikit-image 0.26 and scikit-learn 1.9, unchanged, with the licences that their
  documentation states.
- FACES is a data set in one file.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """Where a bundled picture comes from, in the words of the package that it was taken from."""

    shows: str  # its subject, and its size
    file: str  # its name in this folder
    author: str  # or the owner
    licence: str  # terms of use
    kind: str = ""  # its class in CIFAR-10, where it has one

    @property
    def path(self) -> Path:
        return Path(__file__).with_name(self.file)


def _photo(name: str, kind: str, shows: str, author: str, licence: str) -> Source:
    return Source(f"{shows}, 480 × 480 pixels", f"{name}.jpg", author, licence, kind)


_CC_BY = "CC BY 2.0, https://creativecommons.org/licenses/by/2.0/"
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

PICTURES = {
    "astronaut": Source(
        "the astronaut Eileen Collins, 512 × 512 pixels",
        "astronaut.png",
        "NASA (Great Images database, https://flic.kr/p/r9qvLn)",
        "public domain, no known copyright restrictions",
    ),
    "chelsea": Source(
        "Chelsea the cat, 300 × 451 pixels",
        "chelsea.png",
        "Stefan van der Walt",
        "CC0",
    ),
    "coffee": Source(
        "a cup of coffee on a wooden table, 400 × 600 pixels",
        "coffee.png",
        "Rachel Michetti, courtesy of Pikolo Espresso Bar",
        "CC0",
    ),
    "china": Source(
        "a Chinese temple, 427 × 640 pixels",
        "china.jpg",
        "danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/",
        _CC_BY,
    ),
    "flower": Source(
        "a dahlia, 427 × 640 pixels",
        "flower.jpg",
        "vultilion, https://www.flickr.com/photos/vultilion/6056698931/",
        _CC_BY,
    ),
    "ihc": Source(
        "colonic glands under the microscope, stained for FHL2, 512 × 512 pixels",
        "ihc.png",
        "Center for Microscopy and Molecular Imaging (CMMI)",
        "no known copyright restrictions",
    ),
    "retina": Source(
        "the retina of a human eye, 1411 × 1411 pixels",
        "retina.jpg",
        "Mikael Häggström, Medical gallery 2014, https://doi.org/10.15347/wjm/2014.008",
        "CC0 1.0",
    ),
    "digits": Source(
        "a hundred handwritten digits, 8 × 8 pixels each",
        "digits.csv.gz",  # of all 1797
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998, "
        "https://doi.org/10.24432/C50P49; the test set, as scikit-learn brings it",
        "CC BY 4.0 at the UCI repository, https://creativecommons.org/licenses/by/4.0/; scikit-learn states no other",
    ),
    **PHOTOS,
}

FACES = Source(
    "a sheet of 10 × 20 tiles of 25 × 25 grey pixels: a hundred faces, then a hundred pieces of background",
    "faces.png",
    "Huang et al., 2012, Learning to align from scratch: a subset of Labeled Faces in the Wild, "
    "http://vis-www.cs.umass.edu/lfw/, as skimage.data.lfw_subset brings it, rounded to bytes",
    "the set names no licence; scikit-image passes it on with its own files",
)
