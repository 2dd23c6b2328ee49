"""A digest of the code that decides the result of a training, so that changed code trains anew."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib import resources

__all__ = ["method_digest"]

# Whole folders, and files, in which a change may change a figure.
_DECIDES = {
    "dashfusion_models": ("network", "collate.py", "said.py"),
    "dashfusion_training": (
        "augment.py",
        "build.py",
        "composer.py",
        "datasets.py",
        "encoded_texts.py",
        "evaluate.py",
        "loop.py",
        "metrics.py",
        "neighbours.py",
        "objective.py",
        "people.py",
        "predict.py",
        "readout.py",
        "retrieval.py",
        "samples.py",
        "step.py",
        "teachers.py",
        "texts.py",
    ),
}


@cache
def method_digest() -> str:
    """SHA-256 of what the code says, without comments, docstrings and layout."""
    whole = hashlib.sha256()
    for package, parts in _DECIDES.items():
        for part in parts:
            place = resources.files(package) / part
            files = [place] if place.is_file() else sorted(place.iterdir(), key=lambda p: p.name)
            for file in files:
                if file.name.endswith(".py"):
                    whole.update(f"{package} {file.name}\n".encode())
                    whole.update(_meaning(file.read_text("utf-8")).encode())
    return whole.hexdigest()


def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
