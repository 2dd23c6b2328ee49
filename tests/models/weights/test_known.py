"""The pins against independent sources."""

import ast
import hashlib
import importlib.util
from pathlib import Path

import pytest

from dashfusion_models.weights import locate
from dashfusion_models.weights.known import WEIGHTS


def test_whispers_pins_are_those_of_its_own_table() -> None:
    spec = importlib.util.find_spec("whisper")
    if spec is None or spec.origin is None:
        pytest.skip("openai-whisper is not installed")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    table = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_MODELS"
    )
    for size in ("tiny", "base", "small", "medium", "large-v3"):
        ours = WEIGHTS[f"openai-whisper-{size}"]
        assert ours.url == table[size]
        assert ours.files[0].sha256 == table[size].split("/")[-2]


def test_pins_look_like_sha256_and_files_have_one_main() -> None:
    for weight in WEIGHTS.values():
        assert weight.main_file.sha256 or weight.sha256_beside, weight.name
        for file in weight.files:
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32


@pytest.mark.parametrize("name", ["whisper-base", "minilm", "mpnet"])
def test_the_real_packages_fit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashfusion_models.weights.places import package_pieces

    if package_pieces(WEIGHTS[name]) is None:
        pytest.skip("the weight packages are not installed")
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path))
    folder = locate(name, offline=True)
    for file in WEIGHTS[name].files:
        assert hashlib.sha256((folder / file.name).read_bytes()).hexdigest() == file.sha256
