"""`python -m dashfusion_cli`, which torchrun needs, and the command `dashfusion`."""

import sys
from typing import NoReturn

from dashfusion_cli.leaving import INTERRUPTED, Signalled, end_on_signals, leave

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line of this process; signals end it from here on, imports included."""
    end_on_signals()
    try:
        from dashfusion_cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Signalled as signalled:
        code = signalled.exit_code
    leave(code)


if __name__ == "__main__":  # spawned workers import this module again
    main()
