"""Whisper's weights for openai-whisper: from an official .pt file, or from a CTranslate2 folder.

A CTranslate2 folder (what faster-whisper reads) holds the same numbers under other names, with the
projections of an attention layer laid one below the other. They are read and taken apart in memory,
so that one set of weights serves both engines.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from dashfusion_models.bounded_file import read_json
from dashfusion_models.errors import WeightsError
from dashfusion_models.speech.ctranslate2_file import Variables, read_ctranslate2
from dashfusion_models.speech.ctranslate2_folder import ctranslate2_folder

__all__ = [
    "WhisperTensors",
    "convert_ctranslate2",
    "openai_tensors",
    "read_official",
]

_FLOAT_TYPES = (torch.float32, torch.float16, torch.bfloat16)

_ATTENTION = {"self_attention": "attn", "attention": "cross_attn"}
_ENDS = MappingProxyType(
    {
        "encoder": (("conv1", "conv1"), ("conv2", "conv2"), ("layer_norm", "ln_post")),
        "decoder": (("layer_norm", "ln"),),
    }
)
PARTS = frozenset(_ENDS)


@dataclass(frozen=True)
class WhisperTensors:
    """What openai-whisper's model is built from.

    `alignment_heads` are the (layer, head) pairs that follow the words in time, where the source
    states them; `name` is the size under which the engine's own table may.
    """

    name: str
    dims: dict[str, int]
    state: dict[str, Tensor]
    alignment_heads: tuple[tuple[int, int], ...] | None


def openai_tensors(
    model: str, weights: Callable[[str], Path], *, parts: Collection[str] = PARTS
) -> WhisperTensors:
    """Return the tensors of a size, of a .pt file or of a CTranslate2 folder.

    For a size the official .pt file is taken where it is at hand, else the folder is converted.
    Of `parts`, "encoder" and "decoder", others are left out: they are most of the memory.
    """
    path = Path(model)
    if path.suffix != ".pt" and not path.is_dir():
        try:
            path = weights(f"openai-whisper-{model}")
        except WeightsError:
            path = ctranslate2_folder(model, weights)
    if path.is_dir():
        dims, state = convert_ctranslate2(path, parts=parts)
        return WhisperTensors(model, dims, state, _alignment_heads(path))
    name = path.stem if Path(model).suffix == ".pt" else model
    dims, state = read_official(path)
    state = {tensor: state[tensor] for tensor in state if tensor.split(".")[0] in parts}
    return WhisperTensors(name, dims, state, None)


def read_official(path: Path) -> tuple[dict[str, int], dict[str, Tensor]]:
    """Return the dimensions and tensors of one of OpenAI's .pt files.

    Raises:
        WeightsError: the file is missing, damaged or something else.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return dict(checkpoint["dims"]), dict(checkpoint["model_state_dict"])
    except Exception as error:  # torch raises half a dozen kinds for a damaged file
        raise WeightsError(
            f"{path}: not one of openai-whisper's .pt files ({type(error).__name__}); "
            "fetch the file again, or choose another with --asr-model"
        ) from error


def _alignment_heads(folder: Path) -> tuple[tuple[int, int], ...] | None:
    """Return the (layer, head) pairs that follow the words in time, None where not stated."""
    try:
        config = read_json(folder / "config.json")
        return tuple((int(layer), int(head)) for layer, head in config["alignment_heads"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def convert_ctranslate2(
    folder: Path, *, parts: Collection[str] = PARTS
) -> tuple[dict[str, int], dict[str, Tensor]]:
    """Return the dimensions and the state dict that openai-whisper's model takes, without loss.

    Of `parts`, "encoder" and "decoder", others are not read.

    Raises:
        WeightsError: no such model in the folder, or one whose numbers were rounded to integers.
    """
    source = read_ctranslate2(folder)
    state: dict[str, Tensor] = {}
    try:
        _refuse_rounded(source, folder)
        for part in sorted(parts):
            state.update(_part(source, part))
        return _dims(source), state
    except KeyError as error:
        raise WeightsError(
            f"{folder}: no variable {error} in model.bin; use a folder converted from Whisper"
        ) from error


def _part(source: Variables, part: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of the encoder or of the decoder under our names."""
    yield f"{part}.positional_embedding", source[f"{part}/position_encodings/encodings"]
    if part == "decoder":
        yield f"{part}.token_embedding.weight", source[f"{part}/embeddings/weight"]
    for theirs, ours in _ENDS[part]:
        yield from _copied(source, f"{part}/{theirs}", f"{part}.{ours}")
    for layer in range(_layers(source, part)):
        yield from _block(source, f"{part}/layer_{layer}", f"{part}.blocks.{layer}")


def _refuse_rounded(source: Variables, folder: Path) -> None:
    dtype = source.dtype("decoder/embeddings/weight")
    if dtype not in _FLOAT_TYPES or "decoder/embeddings/weight_scale" in source:
        raise WeightsError(
            f"{folder}: its numbers are rounded to {str(dtype).removeprefix('torch.')}, which "
            "openai-whisper cannot use; use faster-whisper, or a float16 or float32 folder"
        )


def _dims(source: Variables) -> dict[str, int]:
    """Read Whisper's ten dimensions from the shapes."""
    vocabulary, text_state = source.shape("decoder/embeddings/weight")
    audio_state, mels, _ = source.shape("encoder/conv1/weight")
    return {
        "n_mels": mels,
        "n_audio_ctx": source.shape("encoder/position_encodings/encodings")[0],
        "n_audio_state": audio_state,
        "n_audio_head": int(source["encoder/num_heads"]),
        "n_audio_layer": _layers(source, "encoder"),
        "n_vocab": vocabulary,
        "n_text_ctx": source.shape("decoder/position_encodings/encodings")[0],
        "n_text_state": text_state,
        "n_text_head": int(source["decoder/num_heads"]),
        "n_text_layer": _layers(source, "decoder"),
    }


def _layers(source: Mapping[str, Tensor], part: str) -> int:
    prefix = f"{part}/layer_"
    scopes = [name.removeprefix(prefix) for name in source if name.startswith(prefix)]
    return len({name.split("/")[0] for name in scopes if name[0].isdigit()})


def _block(source: Mapping[str, Tensor], scope: str, ours: str) -> Iterator[tuple[str, Tensor]]:
    """Yield one layer: its attentions, their norms, the feed-forward and its norm."""
    for theirs, name in _ATTENTION.items():
        if f"{scope}/{theirs}/layer_norm/gamma" in source:
            yield from _copied(source, f"{scope}/{theirs}/layer_norm", f"{ours}.{name}_ln")
            yield from _attention(source, f"{scope}/{theirs}", f"{ours}.{name}")
    yield from _copied(source, f"{scope}/ffn/layer_norm", f"{ours}.mlp_ln")
    yield from _copied(source, f"{scope}/ffn/linear_0", f"{ours}.mlp.0")
    yield from _copied(source, f"{scope}/ffn/linear_1", f"{ours}.mlp.2")


def _attention(source: Mapping[str, Tensor], scope: str, ours: str) -> Iterator[tuple[str, Tensor]]:
    """Take fused projections apart: query, key, value together, or query and then key, value."""
    fused = ["linear_0"] if f"{scope}/linear_2/weight" not in source else ["linear_0", "linear_1"]
    weight = torch.cat([source[f"{scope}/{name}/weight"] for name in fused])
    bias = torch.cat([source[f"{scope}/{name}/bias"] for name in fused])
    for name, w, b in zip(("query", "key", "value"), weight.chunk(3), bias.chunk(3), strict=True):
        yield f"{ours}.{name}.weight", w
        if name != "key":  # Whisper's keys have no bias; CTranslate2 writes zeros there
            yield f"{ours}.{name}.bias", b
        elif b.any():
            raise WeightsError(f"{scope}: keys with a bias; use a folder converted from Whisper")
    yield from _copied(source, f"{scope}/linear_{len(fused)}", f"{ours}.out")


def _copied(source: Mapping[str, Tensor], scope: str, ours: str) -> Iterator[tuple[str, Tensor]]:
    """Yield weight and bias of a layer, or gamma and beta of a norm, under our names."""
    weight, bias = ("gamma", "beta") if f"{scope}/gamma" in source else ("weight", "bias")
    yield f"{ours}.weight", source[f"{scope}/{weight}"]
    yield f"{ours}.bias", source[f"{scope}/{bias}"]
