"""CTranslate2's tensors, taken apart and named again, are openai-whisper's to the last bit."""

import importlib.util
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from dashfusion_models.errors import WeightsError
from dashfusion_models.speech.ctranslate2_file import Variables, read_ctranslate2
from dashfusion_models.speech.whisper_weights import (
    convert_ctranslate2,
    openai_tensors,
    read_official,
)


def _installed(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


TINY = {
    "n_mels": 80,
    "n_audio_ctx": 1500,
    "n_audio_state": 8,
    "n_audio_head": 2,
    "n_audio_layer": 1,
    "n_vocab": 51865,
    "n_text_ctx": 448,
    "n_text_state": 8,
    "n_text_head": 2,
    "n_text_layer": 2,
}


def _tiny_state() -> dict[str, torch.Tensor]:
    """A random model of openai-whisper's own making, in half precision as its files are."""
    _installed("whisper")
    from whisper.model import ModelDimensions, Whisper

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = Whisper(ModelDimensions(**TINY))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
    return {name: tensor.half() for name, tensor in model.state_dict().items()}


def _as_ctranslate2(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Name and fuse the tensors as CTranslate2's converter does, key biases as zeros."""
    named = {
        "encoder/num_heads": torch.tensor(2, dtype=torch.int16),
        "decoder/num_heads": torch.tensor(2, dtype=torch.int16),
        "encoder/position_encodings/encodings": state["encoder.positional_embedding"],
        "decoder/position_encodings/encodings": state["decoder.positional_embedding"],
        "decoder/embeddings/weight": state["decoder.token_embedding.weight"],
    }

    def plain(ours: str, theirs: str, names: Sequence[str] = ("weight", "bias")) -> None:
        for suffix, name in zip(("weight", "bias"), names, strict=True):
            named[f"{theirs}/{name}"] = state[f"{ours}.{suffix}"]

    def fused(ours: str, theirs: str, parts: Sequence[str]) -> None:
        named[f"{theirs}/weight"] = torch.cat([state[f"{ours}.{part}.weight"] for part in parts])
        named[f"{theirs}/bias"] = torch.cat(
            [state.get(f"{ours}.{part}.bias", torch.zeros(8).half()) for part in parts]
        )

    norm = ("gamma", "beta")
    for conv in ("conv1", "conv2"):
        plain(f"encoder.{conv}", f"encoder/{conv}")
    plain("encoder.ln_post", "encoder/layer_norm", norm)
    plain("decoder.ln", "decoder/layer_norm", norm)
    for part, layers in (("encoder", 1), ("decoder", 2)):
        for i in range(layers):
            ours, theirs = f"{part}.blocks.{i}", f"{part}/layer_{i}"
            plain(f"{ours}.attn_ln", f"{theirs}/self_attention/layer_norm", norm)
            fused(f"{ours}.attn", f"{theirs}/self_attention/linear_0", ("query", "key", "value"))
            plain(f"{ours}.attn.out", f"{theirs}/self_attention/linear_1")
            plain(f"{ours}.mlp_ln", f"{theirs}/ffn/layer_norm", norm)
            plain(f"{ours}.mlp.0", f"{theirs}/ffn/linear_0")
            plain(f"{ours}.mlp.2", f"{theirs}/ffn/linear_1")
            if part == "decoder":
                plain(f"{ours}.cross_attn_ln", f"{theirs}/attention/layer_norm", norm)
                fused(f"{ours}.cross_attn", f"{theirs}/attention/linear_0", ("query",))
                fused(f"{ours}.cross_attn", f"{theirs}/attention/linear_1", ("key", "value"))
                plain(f"{ours}.cross_attn.out", f"{theirs}/attention/linear_2")
    return named


def _write_ctranslate2(path: Path, variables: Mapping[str, torch.Tensor]) -> None:
    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    kinds = {torch.float32: 0, torch.int8: 1, torch.int16: 2, torch.float16: 4}
    data = struct.pack("<I", 6) + string("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, tensor in variables.items():
        values = tensor.numpy().tobytes()
        data += string(name) + struct.pack("<B", tensor.dim())
        data += struct.pack(f"<{tensor.dim()}I", *tensor.shape)
        data += struct.pack("<BI", kinds[tensor.dtype], len(values)) + values
    data += struct.pack("<I", 1)
    data += string("decoder/projection/weight") + string("decoder/embeddings/weight")
    path.write_bytes(data)


def test_conversion_gives_back_every_tensor(tmp_path: Path) -> None:
    state = _tiny_state()
    _write_ctranslate2(tmp_path / "model.bin", _as_ctranslate2(state))
    dims, converted = convert_ctranslate2(tmp_path)
    assert dims == TINY
    assert set(converted) == set(state)
    assert all(torch.equal(converted[name], state[name]) for name in state)


def test_aliases_are_followed(tmp_path: Path) -> None:
    _write_ctranslate2(tmp_path / "model.bin", _as_ctranslate2(_tiny_state()))
    variables = read_ctranslate2(tmp_path)
    alias, name = "decoder/projection/weight", "decoder/embeddings/weight"
    assert torch.equal(variables[alias], variables[name])
    assert set(variables) == {alias, *_as_ctranslate2(_tiny_state())}


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("form", ["folder", "file"])
def test_a_part_is_had_without_the_other(
    form: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = _tiny_state()
    _write_ctranslate2(tmp_path / "model.bin", _as_ctranslate2(state))
    torch.save({"dims": TINY, "model_state_dict": state}, tmp_path / "tiny.pt")
    read: list[str] = []
    one = Variables.__getitem__
    monkeypatch.setattr(
        Variables, "__getitem__", lambda self, name: (read.append(name), one(self, name))[1]
    )
    path = tmp_path if form == "folder" else tmp_path / "tiny.pt"
    found = openai_tensors(str(path), lambda name: Path(name), parts=(part,))
    assert found.dims == TINY
    wanted = {name for name in state if name.startswith(f"{part}.")}
    assert set(found.state) == wanted
    assert all(torch.equal(found.state[name], state[name]) for name in wanted)
    assert all(name.startswith(part) or name.endswith("/num_heads") for name in read)


def test_rounded_weights_are_refused(tmp_path: Path) -> None:
    named = _as_ctranslate2(_tiny_state())
    named["decoder/embeddings/weight"] = torch.zeros(51865, 8, dtype=torch.int8)
    _write_ctranslate2(tmp_path / "model.bin", named)
    with pytest.raises(WeightsError, match="int8"):
        convert_ctranslate2(tmp_path)


@pytest.mark.parametrize("keep", [0, 3, 200, 5000])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "model.bin"
    _write_ctranslate2(path, _as_ctranslate2(_tiny_state()))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"model\.bin"):
        convert_ctranslate2(tmp_path)


def test_official_files_are_read_and_others_refused(tmp_path: Path) -> None:
    state = _tiny_state()
    torch.save({"dims": TINY, "model_state_dict": state}, tmp_path / "tiny.pt")
    dims, read = read_official(tmp_path / "tiny.pt")
    assert dims == TINY and set(read) == set(state)
    (tmp_path / "bad.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match=r"bad\.pt"):
        read_official(tmp_path / "bad.pt")
