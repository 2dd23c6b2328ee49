"""Which imports must not run beside each other: in one process, and in several."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from dashfusion_models.cache import cache_folder

__all__ = ["IMPORTING_SCIPY", "compiling"]

# Its parts import one another: of two threads that begin with different ones, Python lets one see a
# part half imported. transformers and librosa both import it.
IMPORTING_SCIPY = threading.Lock()


@contextmanager
def compiling() -> Iterator[None]:
    """Import librosa and call it for the first time in here, one process after another.

    Numba compiles its functions at import and at the first call, and keeps them in files, by
    default beside librosa's own. Processes that do so at once number those files alike, and one
    then loads the code of another function and crashes, as does every process after it. So they
    lie in a folder of ours (or in NUMBA_CACHE_DIR) and are written under a lock. Where no folder
    can be locked, nothing is held back.
    """
    from numba.core import config

    before = config.CACHE_DIR
    folder = Path(before) if before else cache_folder() / "compiled"
    with ExitStack() as held:
        with suppress(OSError, NotImplementedError):  # NotImplementedError: no locks there
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(folder / ".lock"))
        config.CACHE_DIR = str(folder)
        try:
            yield
        finally:
            config.CACHE_DIR = before
