"""What `data prepare`, `data info` and `data verify` found, as tables or JSON."""

from collections.abc import Mapping
from typing import Any

from dashfusion_cli.output import Output
from dashfusion_cli.render.json import json_bytes
from dashfusion_cli.render.plain import columns
from dashfusion_training.official.prepare import Prepared
from dashfusion_training.store_facts import StoreFacts, Verified

__all__ = ["facts_bytes", "prepared_bytes", "verified_bytes"]


def prepared_bytes(prepared: Prepared, form: str, out: Output) -> bytes:
    """Samples of each split beside table I, and what its frames held."""
    if form == "json":
        return json_bytes(prepared.to_dict(), indent=2)
    rows = []
    for split, frames in prepared.frames.items():
        for modality, facts in frames.items():
            first = modality == "audio"
            rows.append(
                (
                    split if first else "",
                    f"{prepared.counts[split]}" if first else "",
                    f"{prepared.expected[split]}" if first else "",
                    modality,
                    f"{facts.nan} / {facts.infinite}",
                    f"{facts.kept} / {facts.dropped}",
                    f"{facts.silent}",
                    f"{facts.mean_steps:.1f} / {facts.max_steps}",
                )
            )
    header = (
        "split", "samples", "table I", "frames", "NaN / inf", "kept / zero", "silent", "mean / max"
    )  # fmt: skip
    published = "published" if prepared.sha256_known else "unknown"
    head = f"{prepared.benchmark}: {prepared.file_name}, SHA-256 {prepared.sha256} ({published})\n"
    return (head + columns(header, rows, out.look())).encode(out.encoding, "replace")


def facts_bytes(facts: StoreFacts, form: str, out: Output) -> bytes:
    """What a store holds."""
    if form == "json":
        return json_bytes(facts.to_dict(), indent=2)
    look = out.look()
    splits = [
        (name, *(str(found[key]) for key in ("samples", "text", "audio", "vision")), _labels(found))
        for name, found in facts.splits.items()
    ]
    features = [
        (
            modality,
            str(found["dims"]),
            f"{found['mean_steps']:.1f} / {found['max_steps']}",
            f"{found['extractor']} {found['version']}",
        )
        for modality, found in facts.features.items()
    ]
    text = (
        f"{facts.path}: {facts.samples} samples, {_origin(facts.source)}\n"
        f"SHA-256 of all: {facts.digest}\n"
        + columns(("split", "samples", "text", "audio", "vision", "labels"), splits, look)
        + columns(("features", "dims", "steps mean / max", "extractor"), features, look)
    )
    return text.encode(out.encoding, "replace")


def verified_bytes(verified: Verified, form: str, out: Output) -> bytes:
    """One line: what it is, and that it is whole."""
    if form == "json":
        return json_bytes(verified.to_dict(), indent=2)
    if verified.kind == "file":
        line = f"{verified.path}: the published file of {verified.benchmark}"
    else:
        line = (
            f"{verified.path}: whole, {verified.shards} shards as {verified.benchmark} was prepared"
        )
    return f"{line}, SHA-256 {verified.sha256}\n".encode(out.encoding, "backslashreplace")


def _origin(source: Mapping[str, Any] | None) -> str:
    if source is None:
        return "made by `extract`"
    known = "published" if source.get("sha256_known") else "unknown"
    return f"from {source['benchmark']}'s {source.get('file_name')} ({known} SHA-256)"


def _labels(found: Mapping[str, Any]) -> str:
    parts = []
    if found["labels"]:
        span = found["labels"]
        parts.append(f"{span['min']:g} to {span['max']:g}, mean {span['mean']:.2f}")
    if found["classes"]:
        parts.append(", ".join(f"{name} {count}" for name, count in found["classes"].items()))
    return "; ".join(parts) or "-"
