"""The settings of a training: a frozen record, read from a preset and from `--set key=value`."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, get_args

from dashfusion_models.errors import ConfigError
from dashfusion_models.near import hinted
from dashfusion_models.network.config import NormOrder
from dashfusion_models.network.fusions import FUSIONS
from dashfusion_models.records import MODALITIES
from dashfusion_models.storage import STORAGES
from dashfusion_training.config_values import checked

__all__ = [
    "ABLATIONS",
    "TrainConfig",
    "changed",
    "from_dict",
    "preset_names",
    "read_preset",
    "with_settings",
]


CHOICES = {
    "loss": ("mse", "l1", "huber"),
    "contrastive_reduction": ("authors", "sum"),
    "semantic_negatives": ("text", "cross"),
    "retrieval_classes": ("rounded", "value"),
    "decay_spares": ("norms-and-biases", "bert-norms"),
    "precision": ("fp32", "bf16", "fp16"),
    "compose_label": ("people", "words"),
    "companions_of": ("all", "heard-or-seen"),
    "fusion": tuple(FUSIONS),
    "norm_order": get_args(NormOrder),
    "storage": STORAGES,
}

SHARES = (
    "modality_dropout", "compose", "compose_neutral", "lent_share", "frame_drop",
    "context_dropout", "bare_text", "misheard", "teacher_share",
)  # fmt: skip
NOT_NEGATIVE = (
    "contrastive_weight", "weight_decay", "warmup_epochs", "frame_noise", "seed", "clip_norm",
    "context_tokens", "frame_shift", "voice_readout", "face_readout",
    "wordless_delta", "first_kept_epoch", "adapter_rank", "adapter_layers", "frame_bottleneck",
)  # fmt: skip

HALF_WEIGHTS = "half_weights"  # a former setting: true for 16 bits

# Parts of the method that can be left out (paper, table IV; what each means: METHOD.md, section 9).
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "temporal-alignment": {"temporal_alignment": False},
    "semantic-alignment": {"semantic_alignment": False},
    "dual-stream-alignment": {"temporal_alignment": False, "semantic_alignment": False},
    "scl": {"supervised_contrast": False},
    "hbf": {"fusion": "concat"},  # ours: the same network as table V's concatenation
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the result of a training, beside the data.

    Learning rates are the peaks, reached after `warmup_epochs` and falling linearly to 0.
    `text_learning_rate` is for the pretrained text encoder; None means `learning_rate`.
    `repeat` says how often an epoch visits each sample of a source (its manifest's or store's
    name), 0.5 being every other one, drawn anew; a source that is not named is visited once.
    `teacher_shares` has the sources whose labels are moved by another share than `teacher_share`;
    1 puts what the teachers say in their place. `classes` turns class names into scores. `start` is
    the checkpoint that training goes on from, by its name or path: the weights of whatever it was
    trained with; its other encoders are fresh.
    An empty `text_encoder` is that of `start`. The choices of the contrastive terms are those of
    `objective.py` and `neighbours.py`.
    """

    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 5e-5
    text_learning_rate: float | None = None
    text_layer_decay: float = 1.0  # the rate of each layer of BERT, as a share of that above it
    attention_dropout: float | None = None  # of the text encoder; None: what its own config says
    train_text: bool = True  # False: the text encoder stays as `start` has it
    adapter_rank: int = 0  # of what is trained in the text encoder's linear maps; 0: all of it is
    adapter_layers: int = 0  # the upper layers that have adapters; 0: all
    warmup_epochs: float = 10.0
    weight_decay: float = 1e-3
    decay_spares: str = "norms-and-biases"  # ours; "bert-norms" is the code's
    loss: str = "mse"  # paper, eq. 10
    huber_delta: float = 0.5  # errors up to here are squared, with loss "huber"
    wordless_delta: float = 0.0  # the same of samples without words; 0: no difference
    clip_norm: float = 0.0  # of all gradients together; 0 leaves them
    average: float = 0.0  # decay of a running mean of the weights, which is what is kept; 0: none
    contrastive_weight: float = 0.2  # paper, eq. 12: λ
    contrastive_reduction: str = "authors"
    semantic_negatives: str = "text"
    temperature: float = 0.5  # paper: τ
    retrieval_classes: str = "rounded"
    retrieve_every: int = 2  # epochs; before 1, 3, 5, … (code)
    companions_of: str = "all"  # paper; or only of samples with a voice or a face
    seed: int = 1111
    precision: str = "fp32"
    modalities: tuple[str, ...] = ("text", "audio", "vision")
    label_range: tuple[float, float] = (-3.0, 3.0)
    text_encoder: str = "bert-base-uncased"
    start: str = ""
    teachers: tuple[str, ...] = ()  # CSVs of predictions that labels are moved towards
    teacher_share: float = 0.5  # of the way
    teacher_shares: Mapping[str, float] = field(default_factory=dict)  # the same by source
    context_tokens: int = 0  # word pieces said before that the text encoder sees too (ours)
    context_dropout: float = 0.0  # chance that a visit does without them
    audio_steps: int = 500  # the longest sequence that positions are learned for
    vision_steps: int = 500
    encoder_layers: int = 2
    fusion_layers: int = 2
    bottleneck: int = 8
    fusion: str = "hbf"
    norm_order: str = "post"
    temporal_alignment: bool = True  # False: H is learned tokens, the same for all samples
    near_in_time: bool = False  # steps near a word reach it more easily; only with the former
    semantic_alignment: bool = True  # False: the two semantic pairs go
    supervised_contrast: bool = True  # False: the eight supervised pairs go
    position_dropout: float = 0.1
    encoder_dropout: float = 0.5
    frame_bottleneck: int = 0  # numbers a step of audio and of vision goes through; 0: none (ours)
    feature_dropout: float = 0.0  # of audio and vision features, in all steps of a sample (ours)
    voice_readout: float = 0.0  # ridge penalty of voices reduced to numbers; 0: as in `start`
    face_readout: float = 0.0  # the same of faces
    readout_beside: bool = False  # the numbers stand beside all features, not in their place
    normalise: bool = True  # the benchmarks' ready features stay as they are (code)
    first_kept_epoch: int = 2  # the best is looked for from here on (code); 0: `start` counts too
    sorted_batches: int = 1  # batches cut from one piece sorted by length; 1 is a plain shuffle
    modality_dropout: float = 0.0  # chance that a sample with several modalities loses some
    compose: float = 0.0  # chance that a text alone is given a voice; the same of a face
    compose_label: str = "people"  # what people would say of the whole; or the words' label
    compose_neutral: float = 0.0  # share in which neither says anything, beyond people's own
    lent_share: float = 0.4  # what voice and face of a sample with words say of its label (ours)
    bare_text: float = 0.0  # chance that a text is read without punctuation
    misheard: float = 0.0  # share of the words that every other visit hears wrongly
    frame_noise: float = 0.0  # added to audio and vision, in their standard deviations
    frame_shift: float = 0.0  # the same for all steps of a visit
    frame_drop: float = 0.0  # share of audio and vision steps that a visit hides
    storage: str = "fp32"  # of best.safetensors; "fp16", or "int8": its matrices in 8 bits
    intervals: bool = False  # fit a calibration on the validation split at the end
    name: str = ""  # of the checkpoint; empty: that of the folder it is trained in
    license: str = ""  # as its maker states it; empty: that of `start`, or none
    languages: tuple[str, ...] = ("en",)
    repeat: Mapping[str, int | float] = field(default_factory=dict)
    classes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        low, high = self.label_range
        if not low < high:
            raise ConfigError(f"label_range: {low} is not below {high}; give the lower one first")
        for key in ("epochs", "batch_size", "retrieve_every", "sorted_batches"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key}: is {getattr(self, key)}; it must be at least 1")
        for key in ("learning_rate", "temperature", "huber_delta", "text_layer_decay"):
            if getattr(self, key) <= 0:
                raise ConfigError(f"{key}: is {getattr(self, key)}; it must be above 0")
        for key in SHARES:
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"{key}: is {getattr(self, key)}; it must be in [0, 1]")
        for key, value in self.to_dict().items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{key}: is {value}; give a finite number")
        if self.attention_dropout is not None and not 0 <= self.attention_dropout < 1:
            raise ConfigError(
                f"attention_dropout: is {self.attention_dropout}; it must be in [0, 1)"
            )
        if self.text_learning_rate is not None and self.text_learning_rate <= 0:
            raise ConfigError(
                f"text_learning_rate: is {self.text_learning_rate}; it must be above 0"
            )
        for key in ("audio_steps", "vision_steps", "encoder_layers", "fusion_layers", "bottleneck"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key}: is {getattr(self, key)}; it must be at least 1")
        for key in ("position_dropout", "encoder_dropout", "feature_dropout", "average"):
            if not 0 <= getattr(self, key) < 1:
                raise ConfigError(f"{key}: is {getattr(self, key)}; it must be in [0, 1)")
        for key in NOT_NEGATIVE:
            if getattr(self, key) < 0:
                raise ConfigError(f"{key}: is {getattr(self, key)}; it must be 0 or above")
        if self.misheard and not self.train_text:
            raise ConfigError(
                "misheard: each visit would be another text, and train_text = false remembers all; "
                "set one of them back"
            )
        if self.adapter_layers and not self.adapter_rank:
            raise ConfigError(
                f"adapter_layers: is {self.adapter_layers}, but there are no adapters; set "
                "adapter_rank too"
            )
        for source, share in self.teacher_shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"teacher_shares: is {share} for {source}; it must be in [0, 1]")
        for source, times in self.repeat.items():
            if not 0 <= times < math.inf:
                raise ConfigError(
                    f"repeat: is {times} for {source}; it must be finite and 0 or above"
                )
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(
                    f"{key}: {getattr(self, key)!r} is unknown; use {' or '.join(allowed)}"
                )
        if not self.modalities or not set(self.modalities) <= set(MODALITIES):
            raise ConfigError(
                f"modalities: {self.modalities!r} makes no sense; name some of "
                f"{', '.join(MODALITIES)}"
            )

    @property
    def draws_companions(self) -> bool:
        """Whether any pair is compared, so that companions are needed."""
        return self.contrastive_weight > 0 and (self.semantic_alignment or self.supervised_contrast)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON and TOML can hold them."""
        return dataclasses.asdict(self)


def preset_names() -> list[str]:
    """The presets that come with the package."""
    folder = resources.files("dashfusion_training") / "presets"
    return sorted(
        p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")
    )


def read_preset(name: str) -> TrainConfig:
    """Read a preset by its name.

    Raises:
        ConfigError: there is none of that name, or it holds an unknown key.
    """
    if name not in preset_names():
        way_out = hinted(name, preset_names(), before="known presets:")
        raise ConfigError(f"preset {name!r}: is unknown; {way_out}")
    text = (resources.files("dashfusion_training") / "presets" / f"{name}.toml").read_text("utf-8")
    return from_dict(tomllib.loads(text))


def from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """Build a configuration from plain values; what older versions wrote is read too.

    Raises:
        ConfigError: an unknown key (the known ones are named), or a value that makes no sense.
    """
    values = _renamed(values)
    known = {f.name for f in dataclasses.fields(TrainConfig)}
    for key in values:
        if key not in known:
            way_out = hinted(key, known, before="known keys:")
            raise ConfigError(f"key {key!r}: is unknown; {way_out}")
    try:
        return TrainConfig(
            **{
                key: checked(key, value, getattr(TrainConfig, key, None))
                for key, value in values.items()
            }
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"configuration: {error}; give each value in its own type") from error


def _renamed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same where `half_weights` was set, which is `storage` now."""
    if HALF_WEIGHTS not in values:
        return values
    half = checked(HALF_WEIGHTS, values[HALF_WEIGHTS], False)
    rest = {key: value for key, value in values.items() if key != HALF_WEIGHTS}
    return {**rest, "storage": "fp16" if half else "fp32"}


def changed(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration with some values replaced, checked as a whole again."""
    return from_dict({**config.to_dict(), **values})


def with_settings(config: TrainConfig, settings: Mapping[str, str]) -> TrainConfig:
    """Apply `key=value` settings; a value is read as TOML, or as text where that fails.

    Raises:
        ConfigError: an unknown key or an impossible value.
    """
    values = config.to_dict()
    for key, text in settings.items():
        try:
            values[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = text
    return from_dict(values)
