"""Composed samples against judgements and counts that are known on paper."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.records import Features, Streams
from dashfusion_models.store import Store, StoreWriter
from dashfusion_training.composer import OWN, Composer, Visit
from dashfusion_training.config import TrainConfig, changed
from dashfusion_training.datasets import epoch_batches, load_dataset
from dashfusion_training.neighbours import Neighbours
from dashfusion_training.people import HumanRule, People, read_people, sign_alone
from dashfusion_training.samples import Sample
from tests.training.mini.planted import CLASSES, frames, row
from tests.training.tiny import AUDIO, VISION

VISITS = 800
LABELS = np.linspace(-3, 3, 13)  # of the texts


def store(folder: Path, has: str, labels: list[float | str]) -> Store:
    """Samples whose frames hold their number and, where they have a class, its score."""
    with StoreWriter(folder, audio=AUDIO, vision=VISION) as writer:
        for k, label in enumerate(labels):
            score = CLASSES[label] if isinstance(label, str) else label

            def shown(dims: int, k: int = k, score: float = score):  # type: ignore[no-untyped-def]
                made = frames(dims, score)
                made.values[0, 1] = k
                return made

            features = Features(
                text=f"the {folder.name} {k}" if "t" in has else None,
                audio=shown(AUDIO.dims) if "a" in has else None,
                vision=shown(VISION.dims) if "v" in has else None,
            )
            writer.add(*row(f"{folder.name}{k}", label, features, split="train"))
    return Store(folder)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    folder = tmp_path_factory.mktemp("composed")
    acted: list[float | str] = ["happy", "sad", "angry", "neutral", "calm"] * 6
    return {
        "texts": store(folder / "texts", "t", LABELS.tolist()),
        "voices": store(folder / "voices", "a", acted),
        "faces": store(folder / "faces", "v", acted),
        "filmed": store(folder / "filmed", "av", acted),
        "clips": store(folder / "clips", "tav", [3.0, -3.0, 0.1]),
    }


def visits_of(
    stores: dict[str, Store], wanted: Callable[[Sample], bool], **settings: object
) -> list[tuple[Sample, Visit]]:
    config = changed(TrainConfig(compose=1.0, classes=CLASSES), settings)
    samples = load_dataset(stores, "train", config)
    composer = Composer(samples, config)
    chosen = [s for s in samples if s.source == "texts" and wanted(s)]
    each = VISITS // len(chosen)
    return [
        (s, composer(s, np.random.default_rng([i, k])))
        for i, s in enumerate(chosen)
        for k in range(each)
    ]


def alone(visit: Visit, words: float) -> Streams[float | None]:
    """What the planted frames say; clips with words are told by their labels' size."""
    audio, vision = visit.features.audio, visit.features.vision
    return Streams(
        text=words / 3,
        audio=None if audio is None else float(audio.values[0, 0]) / 3,
        vision=None if vision is None else float(vision.values[0, 0]) / 3,
    )


def without_clips(stores: dict[str, Store]) -> dict[str, Store]:
    return {name: some for name, some in stores.items() if name != "clips"}


@pytest.mark.parametrize("label", [-2.5, -1.0, 0.0, 1.0, 2.5])
def test_voices_and_faces_occur_as_they_do_beside_such_words(
    stores: dict[str, Store], label: float
) -> None:
    place = [-2.5, -1.0, 0.0, 1.0, 2.5].index(label)
    expected = read_people().together[place] / read_people().together[place].sum()
    counted = np.zeros((3, 3))
    made = visits_of(without_clips(stores), lambda s: s.label == label)
    for _, visit in made:
        said = alone(visit, label)
        assert said.audio is not None and said.vision is not None
        counted[int(np.sign(said.audio)) + 1, int(np.sign(said.vision)) + 1] += 1
    # Of 800 draws a share is known to 0.018 at most (one deviation).
    np.testing.assert_allclose(counted / len(made), expected, atol=0.055)


def test_words_voice_and_face_are_correlated_as_among_people(stores: dict[str, Store]) -> None:
    """On texts of the strengths that people's words have: by signs 0.56, 0.43 and 0.67."""
    people = read_people()
    weight = people.together.sum(axis=(1, 2))
    strengths = [-2.5, -1.0, 0.0, 1.0, 2.5]
    signs = []
    for k, label in enumerate(strengths):
        made = visits_of(without_clips(stores), lambda s, label=label: s.label == label)
        some = made[: int(VISITS * weight[k] / weight.max())]
        signs += [
            [sign_alone(x or 0.0) for x in (said.text, said.audio, said.vision)]
            for said in (alone(visit, label) for _, visit in some)
        ]
    found = np.corrcoef(np.array(signs).T)
    assert found[0, 1] == pytest.approx(0.558, abs=0.06)
    assert found[0, 2] == pytest.approx(0.433, abs=0.06)
    assert found[1, 2] == pytest.approx(0.673, abs=0.06)


def test_labels_have_the_mean_and_the_spread_of_what_people_say(stores: dict[str, Store]) -> None:
    """Words say nothing: the rule of METHOD.md, section 11, written out."""
    labels: dict[tuple[float, float], list[float]] = {}
    for _, visit in visits_of(without_clips(stores), lambda s: s.label == 0):
        said = alone(visit, 0.0)
        assert said.audio is not None and said.vision is not None
        labels.setdefault((said.audio, said.vision), []).append(visit.label / 3)
    seen = 0
    for (voice, face), found in labels.items():
        if len(found) < 25 or not (voice or face):
            continue
        seen += 1
        mean = -0.014 + 0.337 * voice + 0.418 * face
        spread = 0.123 + 0.224 * (max(voice, face, 0) - min(voice, face, 0))
        assert np.mean(found) == pytest.approx(mean, abs=3.5 * spread / np.sqrt(len(found)))
        assert np.std(found) == pytest.approx(spread, rel=0.5)
    assert seen >= 6


def test_where_voice_and_face_say_nothing_the_words_keep_their_label(
    stores: dict[str, Store],
) -> None:
    made = visits_of(without_clips(stores), lambda s: True, compose_neutral=1.0)
    assert {visit.label for s, visit in made if visit.label != s.label} == set()
    for sample, visit in made:
        said = alone(visit, sample.label)
        assert said.audio == said.vision == 0.0


def test_what_nothing_contradicts_is_not_made_weaker() -> None:
    people = read_people()
    strong = Streams(text=0.9, audio=0.0, vision=0.6)
    assert people.rules["text+audio+vision"].mean(strong) < 0.6
    assert people.mean(strong) == 0.9
    assert people.mean(Streams(text=-0.9, audio=None, vision=-0.5)) == pytest.approx(-0.9)
    against = Streams(text=0.9, audio=0.0, vision=-0.6)
    assert people.mean(against) == people.rules["text+audio+vision"].mean(against)


def test_a_weak_voice_moves_the_label_part_of_the_way() -> None:
    rule = HumanRule(intercept=0.0, weights=Streams(text=0.5, audio=1.0, vision=0.0),
                     spread_least=0.2, spread_per_conflict=0.0)  # fmt: skip
    people = People({"text+audio": rule}, np.ones((5, 3, 3), np.int64))
    half = Streams(text=0.8, audio=-0.2, vision=None)  # half of what is clear
    assert people.mean(half) == pytest.approx(0.5 * (0.4 - 0.2) + 0.5 * 0.8)
    assert people.spread(half) == pytest.approx(0.1)


def test_one_of_the_two_is_judged_by_the_rule_of_two(stores: dict[str, Store]) -> None:
    """A voice alone beside words stands for the face that is not seen as well."""
    people, found = read_people(), Counter[str]()
    for _, visit in visits_of(without_clips(stores), lambda s: s.label == 0, compose=0.5):
        present = "+".join(m for m, here in visit.features.present.items() if here)
        found[present] += 1
        said = alone(visit, 0.0)
        if present == "text+audio" and said.audio == pytest.approx(2 / 3):
            expected = people.rules[present].mean(said)
            assert expected == pytest.approx(-0.005 + 0.709 * 2 / 3, abs=0.01)
            assert abs(visit.label / 3 - expected) < 5 * people.spread(said)
    assert all(share == pytest.approx(VISITS / 4, rel=0.25) for share in found.values())


def test_voice_and_face_of_a_clip_stay_together(stores: dict[str, Store]) -> None:
    together = 0
    for _, visit in visits_of(without_clips(stores), lambda s: s.label == 0):
        audio, vision = visit.features.audio, visit.features.vision
        assert audio is not None and vision is not None
        assert visit.moments.text == 0 and visit.moments.audio == 1
        if visit.moments.vision == 1:
            together += 1
            assert audio.values[0, 1] == vision.values[0, 1]  # the same clip's number
    assert VISITS * 0.25 < together < VISITS * 0.5  # half of the voices, of one sign in 0.7


def test_sources_lend_as_often_as_they_are_visited(stores: dict[str, Store]) -> None:
    some = without_clips(stores)
    counted = Counter(
        visit.moments.vision
        for _, visit in visits_of(
            some, lambda s: s.label == 0, compose_neutral=1.0, repeat={"voices": 0.5, "filmed": 1.5}
        )
    )
    assert counted[1] / counted.total() == pytest.approx(0.75, abs=0.06)


def test_the_words_may_keep_their_label(stores: dict[str, Store]) -> None:
    made = visits_of(stores, lambda s: True, compose_label="words")
    assert all(visit.label == sample.label for sample, visit in made)
    assert any(visit.moments != OWN for _, visit in made)


def test_a_clip_with_words_lends_a_share_of_its_label(stores: dict[str, Store]) -> None:
    """Its voice and face at a share of 0.05 say next to nothing, at 1 as much as an acted one."""
    some = {name: stores[name] for name in ("texts", "clips")}
    largest = {
        share: max(
            abs(visit.label)
            for _, visit in visits_of(some, lambda s: s.label == 0, lent_share=share)
        )
        for share in (0.05, 1.0)
    }
    assert 0 < largest[0.05] < 0.5
    assert largest[1.0] > 1.5


def test_labels_stay_on_their_range(stores: dict[str, Store], tmp_path: Path) -> None:
    classes = {name: 2 + score for name, score in CLASSES.items()}
    texts = store(tmp_path / "texts", "t", [1.0, 3.0, 5.0])
    some = {"texts": texts, "voices": stores["voices"], "faces": stores["faces"]}
    made = visits_of(some, lambda s: True, label_range=[-1, 5], classes=classes)
    labels = np.array([visit.label for _, visit in made])
    assert labels.min() >= -1 and labels.max() <= 5
    assert {visit.label for s, visit in made if s.label == 3.0} >= {3.0}


def test_an_epoch_takes_the_labels_of_its_visits_and_lends_nothing_to_companions(
    stores: dict[str, Store],
) -> None:
    config = TrainConfig(compose=1.0, classes=CLASSES, batch_size=4)
    samples = load_dataset(stores, "train", config)
    texts = [i for i, s in enumerate(samples) if s.source == "texts"]
    near = np.tile(np.array(texts[:10]), (len(samples), 1))
    neighbours = Neighbours(alike=near, hard=near, easy=near)
    changed_labels = companions = 0
    for lesson in epoch_batches(samples, config, 1, neighbours=neighbours):
        anchors = set(lesson.anchors.tolist())
        for i, (features, moments) in enumerate(zip(lesson.features, lesson.moments, strict=True)):
            if i not in anchors:
                companions += 1
                assert features.audio is None and moments == OWN
        for i, label in zip(lesson.anchors, lesson.labels, strict=True):
            text = lesson.features[i].text or ""
            if text.startswith("the texts"):
                own = LABELS[int(text.split()[-1])]
                changed_labels += bool(label != np.float32(own))
    assert companions > 20 and changed_labels > 5
