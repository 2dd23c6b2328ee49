"""Retrieval against the obvious quadratic definition; companions of the right kind."""

import numpy as np
import pytest
import torch

from dashfusion_training import neighbours as module
from dashfusion_training.neighbours import (
    Neighbours,
    classes_of,
    draw_companions,
    find_neighbours,
    find_neighbours_of_groups,
)


def by_definition(vectors: np.ndarray, classes: np.ndarray, i: int, kind: str) -> np.ndarray:
    """Similarities of the candidates of one sample, best first; all pairs are looked at."""

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        size = np.linalg.norm(a) * np.linalg.norm(b)
        return float(a @ b / size) if size else 0.0

    others = [j for j in range(len(vectors)) if j != i]
    if kind == "alike":
        wanted = [j for j in others if classes[j] == classes[i]]
    else:
        wanted = [j for j in others if classes[j] != classes[i]]
    similar = sorted((cosine(vectors[i], vectors[j]) for j in wanted), reverse=kind != "easy")
    return np.array(similar[:10])


def similarities(vectors: np.ndarray, i: int, found: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit[found] @ unit[i]


def planted(case: str) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    vectors = draw.normal(size=(150, 12)).astype(np.float32)
    classes = draw.integers(0, 5, 150)
    if case == "ties":
        vectors = np.repeat(vectors[:30], 5, axis=0)
    elif case == "tiny classes":
        classes[:] = 0
        classes[:3], classes[3] = [1, 1, 2], 3
    elif case == "one class":
        classes[:] = 0
    elif case == "empty vectors":
        vectors[::3] = 0
    return vectors, classes


@pytest.mark.parametrize("block", [7, 2048])
@pytest.mark.parametrize("case", ["random", "ties", "tiny classes", "one class", "empty vectors"])
def test_neighbours_are_those_of_the_definition(
    case: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal similarities may be taken in any order, so similarities are compared, not indices."""
    monkeypatch.setattr(module, "BLOCK", block)
    vectors, classes = planted(case)
    found = find_neighbours(torch.from_numpy(vectors), classes.astype(np.int64))
    for i in range(len(vectors)):
        for kind in ("alike", "hard", "easy"):
            candidates = getattr(found, kind)[i]
            there = candidates[candidates >= 0]
            expected = by_definition(vectors, classes, i, kind)
            assert len(set(there)) == len(there) == len(expected)
            assert i not in there
            same = classes[there] == classes[i]
            assert same.all() if kind == "alike" else not same.any()
            np.testing.assert_allclose(similarities(vectors, i, there), expected, atol=1e-5)


def test_companions_are_two_of_the_class_and_four_of_others() -> None:
    vectors, classes = planted("random")
    found = find_neighbours(torch.from_numpy(vectors), classes.astype(np.int64))
    counted = np.zeros(150)
    for visit in range(40):
        six = draw_companions(found, 5, np.random.default_rng(visit))
        assert (classes[six[:2]] == classes[5]).all()
        assert (classes[six[2:]] != classes[5]).all()
        assert set(six[2:4]) <= set(found.hard[5]) and set(six[4:]) <= set(found.easy[5])
        assert len(set(six)) == 6  # 120 others: the most and the least similar never meet
        counted[six] += 1
    assert (counted[found.alike[5]] > 0).all()  # all ten get their turn


def test_too_few_candidates_are_drawn_again_and_none_is_minus_one() -> None:
    few = Neighbours(
        alike=np.array([[4, -1, -1]]), hard=np.array([[1, 2, -1]]), easy=np.array([[-1, -1, -1]])
    )
    six = draw_companions(few, 0, np.random.default_rng(0))
    assert six[:2].tolist() == [4, 4]
    assert sorted(six[2:4]) == [1, 2]
    assert six[4:].tolist() == [-1, -1]


def test_few_others_are_not_drawn_twice() -> None:
    """Of twelve others the most and the least similar overlap."""
    others = np.arange(1, 13)
    found = Neighbours(
        alike=np.array([[13] + [-1] * 9]), hard=others[None, :10], easy=others[None, 2:]
    )
    for visit in range(50):
        negatives = draw_companions(found, 0, np.random.default_rng(visit))[2:]
        assert len(set(negatives)) == 4


def test_classes_are_rounded_labels_or_values() -> None:
    labels = np.array([0.4, -0.4, 0.5, 1.4, 1.6, 2.5, -0.0])
    rounded = classes_of(labels, "rounded")
    assert len({*rounded[[0, 1, 2, 6]]}) == 1  # 0.5 is rounded to the even 0
    assert rounded[4] == rounded[5] != rounded[3]
    value = classes_of(np.array([0.4, np.float64(np.float32(0.4)), 0.6]), "value")
    assert value[0] == value[1] != value[2]


def test_neighbours_of_groups_are_those_of_each_group_alone() -> None:
    vectors, classes = planted("random")
    groups = ["voice" if k % 3 else "face" for k in range(150)]
    found = find_neighbours_of_groups(torch.from_numpy(vectors), classes.astype(np.int64), groups)
    for name in ("voice", "face"):
        own = np.array([k for k in range(150) if groups[k] == name])
        alone = find_neighbours(torch.from_numpy(vectors[own]), classes[own].astype(np.int64))
        for kind in ("alike", "hard", "easy"):
            expected = getattr(alone, kind)
            expected = np.where(expected < 0, -1, own[expected])
            np.testing.assert_array_equal(getattr(found, kind)[own], expected)


def test_those_who_were_not_compared_have_no_neighbours() -> None:
    few = Neighbours(
        alike=np.array([[1, -1], [0, -1]]), hard=np.array([[-1, -1]] * 2), easy=np.full((2, 2), -1)
    )
    placed = few.placed(np.array([4, 2]), 6)
    assert placed.alike[4].tolist() == [2, -1]
    assert placed.alike[2].tolist() == [4, -1]
    assert (placed.alike[[0, 1, 3, 5]] == -1).all() and (placed.hard == -1).all()
    assert draw_companions(placed, 0, np.random.default_rng(0)).tolist() == [-1] * 6
