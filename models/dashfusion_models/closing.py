"""What is closed at the end of a `with`."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

__all__ = ["Closing"]

Held = TypeVar("Held", bound="Closing")  # not Self, which checks of types at run time refuse


class Closing:
    """Something with a `close` that a `with` calls, also after an error."""

    def close(self) -> None:
        """Let go of what is held."""
        raise NotImplementedError

    def __enter__(self: Held) -> Held:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
