"""Downloads before the work that needs them, so that they have a bar of their own."""

from pathlib import Path

from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import Session

__all__ = ["fetch_encoder"]


def fetch_encoder(name: str, *, offline: bool, session: Session) -> None:
    """Fetch a text encoder that is not here yet; a folder is taken as it is.

    Raises:
        WeightsError: no such name, or the download failed.
    """
    from dashfusion_models.weights import is_here, locate

    if offline or Path(name).is_dir() or is_here(name):
        return
    with show_progress(session) as board:
        locate(name, report=board)
