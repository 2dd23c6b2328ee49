"""Small stores named as the recipe's: planted samples of made-up videos, actors and persons."""

import dataclasses
from pathlib import Path

from dashfusion_models.store import Store, StoreWriter
from tests.training.tiny import AUDIO, VISION, planted_sample

CLASSES = {"happy": 2.0, "sad": -1.5, "angry": -2.0, "fear": -1.5, "neutral": 0.0}
HAS = {
    "mosi_clips": "text,audio,vision",
    "mosi_text": "text",
    "mosei_text": "text",
    "ravdess": "audio",
    "javanese": "audio,vision",
    "faces": "vision",
}


def write_stores(folder: Path, *, videos: int = 5, clips: int = 4) -> dict[str, Store]:
    """Each video or person has `clips` samples; words, voices and faces as the source has them."""
    for name, has in HAS.items():
        with StoreWriter(folder / name, audio=AUDIO, vision=VISION) as writer:
            for k in range(videos * clips):
                row, features = planted_sample(k, "train")
                who, acted = f"{name}{k // clips}", "text" not in has
                gone = {m: None for m in ("text", "audio", "vision") if m not in has}
                features = dataclasses.replace(features, **gone)
                split = "train"
                if name != "mosi_clips" and k // clips >= videos - 2:
                    split = "valid" if k // clips == videos - 2 else "test"
                row = dataclasses.replace(
                    row,
                    id=f"{name}-{k}",
                    label=list(CLASSES)[k % 5] if acted else row.label,
                    split=split,
                    text=features.text,
                    audio=features.audio is not None,
                    vision=features.vision is not None,
                    person=who,
                    video_id="" if acted else who,
                    clip_id=str(k % clips),
                )
                writer.add(row, features)
    return {name: Store(folder / name) for name in HAS}
