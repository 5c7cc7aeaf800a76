"""What a submission may use of memory, processes and files, and what happens when it wants more."""

import os
import textwrap

import pytest

from autograde.sandbox.confine import SCRATCH, Caps
from tests.autograde.sandboxed import sandboxed, until


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A kernel with little of everything."""
    with sandboxed(tmp_path_factory.mktemp("desk"), Caps(memory=256, processes=24, scratch=16)) as kernel:
        yield kernel


def test_memory_is_capped(small):
    assert small.outcome("bytearray(300 * 2**20)") == "MemoryError"
    assert small.outcome("len(bytearray(100 * 2**20))") == str(100 * 2**20)
    assert small.outcome("__import__('torch').ones(300 * 2**18)") == "RuntimeError"


def test_processes_are_capped(small):
    bomb = """
    def bomb():
        children = []
        try:
            while True:
                children.append(subprocess.Popen(["sleep", "60"]))
        except BlockingIOError:
            return len(children) < 24
        finally:
            for child in children:
                child.kill()
                child.wait()
    """
    assert small.run(textwrap.dedent(bomb) + "print(bomb())") == "True"


@pytest.mark.parametrize("folder", [SCRATCH, "/dev/shm"])
def test_files_are_capped_in_size_and_number(small, folder):
    fill = f"""
    def fill(size, names):
        made = []
        try:
            for name in range(names):
                with open(f"{folder}/{{name}}", "wb") as file:
                    made.append(file.name)
                    file.write(bytes(size))
        except OSError as error:
            return error.strerror
        finally:
            for name in made:
                os.unlink(name)
    """
    full = "No space left on device"
    assert small.run(textwrap.dedent(fill) + "print(fill(2**20, 20), fill(0, 20_000), sep='; ')") == f"{full}; {full}"


def test_processes_that_hold_too_much_memory_together_end_the_kernel(tmp_path):
    with sandboxed(tmp_path, Caps(memory=256)) as kernel:
        kernel.send("for _ in range(4): os.fork() or (b'x' * (150 * 2**20), time.sleep(60))")
        assert until(lambda: kernel.ended)
        assert kernel.reason == "its processes held more than 256 MiB of memory together"


def test_memory_of_a_process_whose_first_thread_has_ended_counts(tmp_path):
    """Such a process shows nothing of what it holds, though its other threads go on."""
    code = f"""
    import threading
    def hold():
        time.sleep(0.5)
        hoard = b"x" * (150 * 2**20)
        time.sleep(60)
    for _ in range(4):
        if os.fork() == 0:
            threading.Thread(target=hold).start()
            libc.syscall({ {"x86_64": 60, "aarch64": 93}[os.uname().machine] }, 0)  # exit, of this thread alone
    """
    with sandboxed(tmp_path, Caps(memory=256)) as kernel:
        kernel.send(textwrap.dedent(code))
        assert until(lambda: kernel.ended)
        assert kernel.reason == "its processes held more than 256 MiB of memory together"


def test_forks_that_share_their_memory_do_not_hold_it_twice(tmp_path):
    with sandboxed(tmp_path, Caps(memory=600)) as kernel:
        kernel.run("children = [os.fork() or (time.sleep(1.5), os._exit(0)) for _ in range(10)]")
        assert kernel.run("print([os.waitpid(child, 0)[1] for child in children])") == str([0] * 10)
