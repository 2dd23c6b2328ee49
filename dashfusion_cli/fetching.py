"""Downloads before the work that needs them, so that they have a bar of their own."""

from pathlib import Path

from dashfusion_cli.messages import say_note
from dashfusion_cli.progress import show_progress
from dashfusion_cli.session import Session

__all__ = ["fetch_encoder", "fetch_encoder_of"]


def fetch_encoder(name: str, *, offline: bool, session: Session) -> None:
    """Fetch a text encoder that is not here yet; a folder is taken as it is, and no name is none.

    A folder here that is called as known weights are is told from them.

    Raises:
        WeightsError: no such name, or the download failed.
    """
    from dashfusion_models.weights import is_folder, is_here, locate

    if not name or is_folder(name):
        return
    if Path(name).is_dir():
        say_note(f"{name}: the known weights, not the folder here, which is ./{name}", session)
    if offline or is_here(name):
        return
    with show_progress(session) as board:
        locate(name, report=board)


def fetch_encoder_of(checkpoint: Path, *, offline: bool, session: Session) -> None:
    """Fetch the text encoder that a checkpoint with adapters belongs to, if it is not here yet.

    Raises:
        CheckpointError: it is no checkpoint.
        WeightsError: the encoder may not be downloaded, or the download failed.
    """
    from dashfusion_models.checkpoint_about import checkpoint_facts
    from dashfusion_models.weights import locate_folder

    name = checkpoint_facts(checkpoint).text_encoder
    if name is None:
        return
    fetch_encoder(name, offline=offline, session=session)
    locate_folder(name, offline=True)
