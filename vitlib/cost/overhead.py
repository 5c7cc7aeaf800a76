"""What a GPU needs besides tensors: the memory between them, and what CUDA takes for itself.

Three numbers are distinguished. *Allocated* is what tensors take at the peak, as `cost` counts it. *Reserved* is what
torch's allocator holds for them: it hands out memory in pieces and keeps some between the tensors. And CUDA itself
takes a part of the GPU before there is any tensor. A step fits where reserved and CUDA's part are no more than the GPU
has.

What comes on top of allocated is an estimate, on the careful side, and not yet compared with a GPU:

- cuBLAS, which multiplies matrices, has room of its own: up to 32 MiB (on Hopper; 8 MiB before) for each of the two
  threads that call it, forward's and backward's. NVIDIA, "cuBLAS library", cublasSetWorkspace.
- The allocator rounds every tensor up to 512 bytes and takes memory in segments of 2 MiB and their multiples (torch,
  c10/core/AllocatorConfig.h). What lies unused between tensors was up to 7 % of them in fourteen out-of-memory messages
  of all kinds of programs, in the threads that gpus.py names and others, and 11 and 33 % in two more: 7 % are taken.
- CUDA's context, with the kernels that were loaded, was 0.1 to 0.6 GiB in fourteen of these messages and 2.2 in one
  more: 0.6 GiB are taken.
"""

from vitlib.cost.gpus import GIB

MIB = 2**20  # bytes
WORKSPACE = 2 * 32 * MIB  # bytes: cuBLAS's, for two threads
SEGMENT = 2 * MIB  # bytes: reserved memory is a multiple of it
UNUSED = 7  # per cent of what is allocated that lies unused between tensors
CONTEXT = 6 * GIB // 10  # bytes: what CUDA takes for itself


def reserved(allocated: int) -> int:
    """Bytes that torch's allocator holds where tensors take `allocated`, an estimate: see the head of this file.

    >>> reserved(10 * GIB) / GIB
    10.767...
    """
    return -(-(allocated + WORKSPACE) * (100 + UNUSED) // (100 * SEGMENT)) * SEGMENT


def allocatable(budget: int) -> int:
    """Bytes that tensors may take on a GPU with so many; the other way round, and less than 0 for the smallest.

    >>> room = allocatable(24 * GIB)
    >>> reserved(room) + CONTEXT <= 24 * GIB < reserved(room + 1) + CONTEXT
    True
    """
    return (budget - CONTEXT) // SEGMENT * SEGMENT * 100 // (100 + UNUSED) - WORKSPACE
