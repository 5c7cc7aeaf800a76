"""How much memory a GPU has, by its name: as its driver tells a program, which is less than what the box says.

The numbers are the "total capacity" of torch's out-of-memory messages, as people have reported them in the public
threads named here; where reports differ, the smallest. A driver keeps some for itself, the more the newer it is, and
error correction (ECC) takes its share: `torch.cuda.mem_get_info()[1] / 2**30` says what yours has.
"""

import math
import re
from numbers import Real
from typing import Literal

from vitlib.vit.checks import nearest

GIB = 2**30  # bytes
GPUS: dict[str, float] = {  # GiB
    "RTX 2060 6GB": 5.79,  # facebookresearch/meshrcnn 92
    "RTX 3070 8GB": 7.78,  # meta-llama/codellama 82
    "RTX 4060 8GB": 7.75,  # ESRSchao/EdgeRegNet 2
    "RTX 3080 10GB": 9.78,  # zai-org/CogVideo 34
    "RTX 2080 Ti": 10.76,  # JDAI-CV/image-captioning 11
    "RTX 3060 12GB": 11.75,  # Kunhao-Liu/StyleGaussian 12
    "T4": 14.56,  # Zheng-Chong/CatVTON 133
    "RTX A4000": 15.61,  # DengKaiCQ/VGGT-Long 6
    "V100 16GB": 15.78,  # kchengiva/Shift-GCN 34
    "P40": 22.38,  # LinkSoul-AI/Chinese-Llama-2-7b 56
    "RTX 3090": 23.69,  # ucwxb/GraphAvatar 4
    "RTX 4090": 23.52,  # Soul-AILab/SoulX-FlashTalk 5
    "A30": 23.53,  # google/RB-Modulation 5
    "RTX 5090": 31.36,  # TrajectoryCrafter/TrajectoryCrafter 20
    "V100 32GB": 31.74,  # liucongg/ChatGLM-Finetuning 73
    "A100 40GB": 39.45,  # LianjiaTech/BELLE 137
    "L40": 44.40,  # QwenLM/Qwen3-VL 2097
    "L40S": 44.42,  # stepfun-ai/Step-Video-T2V 8
    "RTX 6000 Ada": 44.43,  # DINGYANB/MTVCrafter 21, with error correction
    "RTX 8000": 47.46,  # Victarry/stable-dreambooth 8
    "H100 80GB": 79.11,  # vllm-project/vllm 27508
    "A100 80GB": 79.15,  # vllm-project/vllm 4408
    "B200": 178.35,  # pytorch/ao 4002
}
# from before Ampere: their units know no bfloat16, and torch makes up for it many times slower
NO_BFLOAT16 = ("RTX 2060 6GB", "RTX 2080 Ti", "T4", "V100 16GB", "V100 32GB", "P40", "RTX 8000")
MAKERS = {"nvidia", "geforce", "tesla", "quadro", "sxm", "sxm2", "sxm4", "sxm5", "pcie", "generation", "hbm3"}


def gib(size: int) -> str:
    """Bytes as a person reads them.

    >>> gib(24 * 2**30), gib(3 * 2**20), gib(2**60)
    ('24.00 GiB', '3.0 MiB', '1,073,741,824.00 GiB')
    """
    if size >= GIB // 10:
        return f"{size / GIB:,.2f} GiB"
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 // 10 else f"{size / 2**10:.1f} KiB"


def budget_of(gpu: str | float) -> tuple[str, int]:
    """What a GPU is called, and its memory in bytes. `gpu` is a name, or GiB of a GPU whose name does not matter.

    The maker's name may be there or not, and the size where only one is known.

    >>> budget_of("NVIDIA GeForce RTX 4090")
    ('RTX 4090', 25254407700)
    >>> budget_of("rtx3060"), budget_of(8)
    (('RTX 3060 12GB', 12616466432), ('a GPU', 8589934592))

    Errors: ValueError for a name that is not known (the nearest is suggested) or that stands for several sizes, and
    for a number that is not positive and finite.
    """
    if not isinstance(gpu, str):
        given: object = gpu
        if given is True or not isinstance(given, Real) or not 0 < gpu < math.inf:
            raise ValueError(f"gpu is {gpu!r}: expected its memory in GiB, more than 0, such as 24, or its name")
        return "a GPU", int(gpu * GIB)
    wanted = _plain(gpu)
    found = [name for name in GPUS if wanted in (_plain(name), _plain(re.sub(r" \d+GB$", "", name)))]
    if len(found) > 1:
        raise ValueError(f"gpu {gpu!r} comes in {len(found)} sizes: say which, {' or '.join(map(repr, found))}")
    if not found:
        raise ValueError(
            f"no GPU is called {gpu!r} here{nearest(gpu, GPUS, _plain)}; give its memory in GiB instead, such as 24, "
            f"or one of {', '.join(GPUS)}"
        )
    return found[0], int(GPUS[found[0]] * GIB)


def half_of(gpu: str) -> Literal["bfloat16", "float16"]:
    """Which numbers of 2 bytes a GPU is made for.

    >>> half_of("T4"), half_of("RTX 4090")
    ('float16', 'bfloat16')
    """
    return "float16" if gpu in NO_BFLOAT16 else "bfloat16"


def _plain(name: str) -> str:
    """Lower case, without spaces and makers: what is the same in all spellings of a name."""
    return "".join(word for word in re.split(r"[\s_-]+", name.lower()) if word not in MAKERS)
