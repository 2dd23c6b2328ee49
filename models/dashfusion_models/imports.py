"""Which imports must not run beside each other."""

import threading

__all__ = ["IMPORTING_SCIPY"]

# Its parts import one another: of two threads that begin with different ones, Python lets one see a
# part half imported. transformers and librosa both import it.
IMPORTING_SCIPY = threading.Lock()
