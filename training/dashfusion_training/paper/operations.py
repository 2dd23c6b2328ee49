"""What the network costs: parameters, and multiply-adds of the fusion, counted from the modules.

The networks are built on torch's meta device: nothing is computed, no weight takes memory, and no
random number is drawn. Convention (METHOD.md, section 9; the paper names none): linear maps and the
two products of each attention; not biases, norms, softmax and head, nor anything before the fusion.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dashfusion_models.errors import ConfigError
from dashfusion_models.network.config import NetworkConfig
from dashfusion_models.network.dashfusion import DashFusion
from dashfusion_models.network.fusions import build_fusion
from dashfusion_models.network.sequence import Sequence
from dashfusion_models.records import Streams
from dashfusion_training.benchmarks import Benchmark, benchmark
from dashfusion_training.build import network_config
from dashfusion_training.config import TrainConfig, read_preset

__all__ = [
    "SIMS_AUDIO",
    "SIMS_TEXT",
    "SIMS_VISION",
    "multiply_adds",
    "paper_network",
    "parameters",
]

# Lengths that table V's multiply-adds are counted at: CH-SIMS's longest sequences with their [CLS].
SIMS_TEXT = 50  # ours: the paper names no T_t
SIMS_AUDIO = 401
SIMS_VISION = 56

_BERT_BASE = {
    "model_type": "bert",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
_VOCABULARIES: Mapping[str, int] = MappingProxyType(
    {"bert-base-uncased": 30522, "bert-base-chinese": 21128}
)
_AUTHORS = "-authors"  # ends the name of a benchmark's second preset
_ABSENT = "absent_"  # how the learned tokens of absent modalities are named
_FLOAT_OPERATIONS = 2  # that torch's counter gives a multiply-add


def multiply_adds(config: NetworkConfig, *, text: int, audio: int, vision: int) -> int:
    """Multiply-adds of the fusion of `config` for one video with streams of these lengths.

    Lengths are in tokens, [CLS] included. Counted by torch over the matrix products of the modules,
    which see shapes only: a fusion must not ask a tensor for its values.
    """

    def stream(steps: int) -> Sequence:
        return Sequence(
            values=torch.empty(1, steps, config.width),
            real=torch.ones(1, steps, dtype=torch.bool),
        )

    # In one piece an attention would be a product that the counter does not see into.
    with torch.device("meta"), torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        fusion = build_fusion(config).eval()
        h = stream(text if config.temporal_alignment else config.bottleneck)
        streams = Streams(text=stream(text), audio=stream(audio), vision=stream(vision))
        with FlopCounterMode(display=False) as counter:
            fusion(h, streams)
    return int(counter.get_total_flops()) // _FLOAT_OPERATIONS


def paper_network(config: TrainConfig, data: Benchmark) -> NetworkConfig:
    """The network that `config` describes for a benchmark, on the BERT-base that it names.

    Raises:
        ConfigError: its text encoder is none of the paper's.
    """
    if config.text_encoder not in _VOCABULARIES:
        raise ConfigError(
            f"text_encoder: the shape of {config.text_encoder!r} is not known here; use "
            f"{' or '.join(_VOCABULARIES)}"
        )
    return network_config(
        config,
        text_encoder={**_BERT_BASE, "vocab_size": _VOCABULARIES[config.text_encoder]},
        audio_dims=data.audio_dims,
        vision_dims=data.vision_dims,
    )


def parameters(preset_name: str) -> int:
    """Parameters of the paper's network for a benchmark, by the convention of METHOD.md.

    With BERT's pooler, which pretrained files hold and nothing reads, so that ours is not built;
    without the tokens that stand for an absent modality.

    Raises:
        ConfigError: there is no such preset.
        DataError: it is not that of a benchmark.
    """
    preset = read_preset(preset_name)
    config = paper_network(preset, benchmark(preset_name.removesuffix(_AUTHORS)))
    with torch.device("meta"):
        network = DashFusion(config)
    built = sum(p.numel() for name, p in network.named_parameters() if not name.startswith(_ABSENT))
    hidden: int = config.text_encoder["hidden_size"]
    return built + hidden * hidden + hidden
