"""An ablation leaves out something that is there, or is refused in one line."""

from collections.abc import Mapping

import pytest

from dashfusion_models.errors import ConfigError
from dashfusion_models.store import Store
from dashfusion_training.ablation import require_compared, require_effect
from dashfusion_training.config import ABLATIONS, TrainConfig, changed, read_preset
from tests.training.mini.planted import face_row, store_of, text_row, voice_row


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Store]:
    folder = tmp_path_factory.mktemp("texts") / "texts"
    return {"texts": store_of(folder, [text_row("a", "good", 1.0, split="train")])}


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Store]:
    folder = tmp_path_factory.mktemp("acted") / "acted"
    rows = [voice_row("a", "happy", split="train"), face_row("b", "sad", split="train")]
    return {"acted": store_of(folder, rows)}


def test_the_usual_preset_compares_and_composes_nothing() -> None:
    mini = read_preset("mini")
    assert mini.draws_companions and not mini.compose
    require_effect(list(ABLATIONS), mini)


@pytest.mark.parametrize("part", ["semantic-alignment", "dual-stream-alignment", "scl"])
def test_what_is_not_compared_cannot_be_left_out(part: str) -> None:
    with pytest.raises(ConfigError, match=f"^{part}: nothing is compared"):
        require_effect([part], TrainConfig(contrastive_weight=0.0))
    require_effect([part], TrainConfig())


def test_another_fusion_cannot_be_left_out() -> None:
    with pytest.raises(ConfigError, match="concat already"):
        require_effect(["hbf"], TrainConfig(fusion="concat"))
    require_effect(["hbf", "temporal-alignment"], TrainConfig(contrastive_weight=0.0))


def test_pairs_that_the_samples_do_not_have_cannot_be_left_out(
    texts: Mapping[str, Store], acted: Mapping[str, Store], small_store: Store
) -> None:
    mini = read_preset("mini")
    both = {**texts, **acted}
    for stores in (texts, acted, both):
        with pytest.raises(ConfigError, match="semantic-alignment: no training sample has words"):
            require_compared(["semantic-alignment"], mini, stores)
    with pytest.raises(ConfigError, match="scl: no training sample has a voice or a face"):
        require_compared(["scl"], mini, texts)
    require_compared(["scl"], mini, acted)
    require_compared(["scl"], changed(mini, {"companions_of": "all"}), texts)
    require_compared(list(ABLATIONS), mini, {"small": small_store})
    with pytest.raises(ConfigError, match="semantic-alignment"):
        only_words = changed(mini, {"modalities": ["text"]})
        require_compared(["semantic-alignment"], only_words, {"small": small_store})


def test_a_preset_of_texts_says_so() -> None:
    with pytest.raises(ConfigError, match=r"set it to 0\.2, or leave this ablation out"):
        require_effect(["scl"], read_preset("mini-text"))
