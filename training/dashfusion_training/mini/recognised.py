"""The labelled clips with the words that were recognised in place of the official ones.

    python -m dashfusion_training.mini.recognised --clips STORE --heard STORE --output STORE

`clips` holds words, voice and face of each clip, `heard` what the recogniser wrote of the same
clips; the output has the latter's words and the former's voices and faces.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from dashfusion_models.store import Store, StoreWriter
from dashfusion_training.commands import exit_code

__all__ = ["main", "with_heard_words"]


def with_heard_words(clips: Store, heard: Store, output: Path) -> Store:
    """Write the store; a clip in which no words were heard keeps its voice and its face alone.

    Raises:
        DataError: `output` is another store, or not empty.
    """
    words = {row.id: row for row in heard.rows}
    with StoreWriter(output, audio=clips.audio, vision=clips.vision) as writer:
        for row, features in clips:
            if row.id in writer.done:
                continue
            said = words.get(row.id)
            told = (
                replace(row, text=None)
                if said is None
                else replace(
                    row, text=said.text, language=said.language, confidence=said.confidence
                )
            )
            writer.add(told, replace(features, text=told.text))
    return Store(output)


def main() -> int:
    """Join two stores and say how many clips have words; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("clips", "heard", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return exit_code(lambda: _run(parser.parse_args()))


def _run(asked: argparse.Namespace) -> None:
    store = with_heard_words(Store(asked.clips), Store(asked.heard), asked.output)
    worded = sum(row.text is not None for row in store.rows)
    print(f"{asked.output}: {len(store)} clips, {worded} with words")


if __name__ == "__main__":
    sys.exit(main())
