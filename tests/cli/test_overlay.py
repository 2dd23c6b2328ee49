"""The video with its analysis over it: length, rate, sound and pictures are the source's."""

import contextlib
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.signal import correlate

from dashfusion_cli.output import OutputError
from dashfusion_cli.render import overlay as overlay_module
from dashfusion_cli.render.overlay import write_overlay
from dashfusion_cli.render.overlay_fonts import Fonts, lays_out
from dashfusion_cli.render.overlay_look import Overlay, face_at
from dashfusion_models.analysis import Analysis, ScoredWord
from dashfusion_models.errors import ConfigError, MediaError
from dashfusion_models.media import FrameReader, moving_pictures, probe, read_sound
from dashfusion_models.records import SAMPLE_RATE_HZ, FaceChoice, Progress, Span

from .conftest import FakeRoad, Result, analysis, segment
from .planted_video import BLUE, GREEN, GREY, RATE_HZ, RED, Shot, noise, plain, write_video

NTSC = Fraction(30_000, 1001)


def analysed(path: Path, *, face: bool = False) -> Analysis:
    """What an analysis of a planted video might say: something from 0.5 s to 1.5 s."""
    words = tuple(
        ScoredWord(w, 0.5 + 0.25 * i, 0.75 + 0.25 * i, 0.9, -1.0 if w == "bad." else 0.0)
        for i, w in enumerate(["it", "was", "really", "bad."])
    )
    choice = FaceChoice(0, "size", (0.5, 0.25, 0.25, 0.5)) if face else None
    said = segment(
        "it was really bad.", -1.8, start_s=0.5, end_s=1.5, words=words, face=choice,
        interval=(-2.6, -0.9),
    )  # fmt: skip
    return replace(analysis(str(path), said), media=probe(path))


def test_words_that_moved_the_score_have_its_colour(tmp_path: Path) -> None:
    """Only the last of four did, to the negative side: orange, right in the caption."""
    path = write_video(tmp_path / "clip.mp4", [(k / 10, plain(GREY, 640, 360)) for k in range(20)],
                       tick=Fraction(1, 10), rate=Fraction(10))  # fmt: skip
    found = analysed(path)
    overlay = Overlay(found, width=640, height=360, window=Span(0.0, 2.0), fonts=Fonts())
    still = replace(found.segments[0], words=())
    plainly = Overlay(
        replace(found, segments=(still,)), width=640, height=360, window=Span(0.0, 2.0),
        fonts=Fonts(),
    )  # fmt: skip
    grey = np.full((360, 640, 3), 90, np.uint8)
    tinted, untinted = overlay.draw(grey, 1.0), plainly.draw(grey, 1.0)
    rows, columns = np.nonzero((tinted != untinted).any(axis=2))
    assert len(columns) and columns.min() > 320  # "bad." alone
    red, _, blue = (tinted[rows, columns].astype(int) - untinted[rows, columns]).mean(axis=0)
    assert blue < red - 40


def free(pixels: np.ndarray) -> np.ndarray:
    """The colour of a place that nothing is drawn over: right of the middle."""
    height, width = pixels.shape[:2]
    return pixels[height * 35 // 100 : height * 45 // 100, width * 8 // 10 : width * 9 // 10].mean(
        (0, 1)
    )


def colors_by_time(path: Path) -> list[tuple[float, np.ndarray]]:
    with FrameReader(path, frames_per_second=None, longer_side=None) as reader:
        return [(frame.seconds, free(frame.pixels)) for frame in reader]


def is_like(found: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool(np.abs(found - np.array(color)).max() < 14)


def lag_s(one: Path, other: Path) -> float:
    """How much later the sound of the other comes."""
    a, b = read_sound(one).samples, read_sound(other).samples
    products = correlate(b, a, mode="full", method="fft")
    return float(np.argmax(products) - (len(a) - 1)) / SAMPLE_RATE_HZ


def parts(
    colors: list[tuple[int, int, int]], count: int, rate: Fraction, **size: int
) -> list[Shot]:
    """As many pictures of each colour, at a steady rate."""
    return [
        (float((i * count + k) / rate), plain(color, **size))
        for i, color in enumerate(colors)
        for k in range(count)
    ]


def test_a_turned_video_at_an_odd_rate(tmp_path: Path) -> None:
    shots = parts([RED, GREEN, BLUE], 20, NTSC)
    path = write_video(
        tmp_path / "turned.mp4", shots, tick=1 / NTSC, rate=NTSC, sound=noise(2.0, 2),
        setup=lambda stream: stream.set_display_rotation(90),
    )  # fmt: skip
    out = tmp_path / "out.mp4"
    assert write_overlay(analysed(path), out) == ()
    before, after = moving_pictures(path), moving_pictures(out)
    assert (after.width, after.height) == (240, 320)
    assert after.rate == NTSC  # not 29.97, to which moviepy rounds it
    assert after.duration_s == pytest.approx(before.duration_s, abs=float(1 / NTSC))
    found = colors_by_time(out)
    assert len(found) == 60
    wanted = [RED] * 20 + [GREEN] * 20 + [BLUE] * 20
    assert all(is_like(color, want) for (_, color), want in zip(found, wanted, strict=True))
    assert [seconds for seconds, _ in found] == pytest.approx([s for s, _ in shots], abs=2e-3)
    assert abs(lag_s(path, out)) < 0.005


def test_a_video_whose_rate_varies(tmp_path: Path) -> None:
    """Half a second at 30 pictures a second, then two of 8 a second, then 30 again."""
    ticks = [*range(15), *range(15, 75, 4), *range(75, 90)]
    change_s = {RED: 0.0, GREEN: 15 / 30, BLUE: 55 / 30, GREY: 80 / 30}
    shots = [
        (i / 30, plain(max((s, c) for c, s in change_s.items() if s <= i / 30)[1])) for i in ticks
    ]
    path = write_video(
        tmp_path / "uneven.mp4", shots, tick=Fraction(1, 600), rate=Fraction(30),
        sound=noise(3.0, 1), layout="mono",
    )  # fmt: skip
    out = tmp_path / "out.mp4"
    write_overlay(analysed(path), out)
    before, after = moving_pictures(path), moving_pictures(out)
    assert after.rate == before.rate == 30  # every picture keeps its place
    assert after.duration_s == pytest.approx(before.duration_s, abs=1 / 30)
    for seconds, color in colors_by_time(out):
        due = max((s, c) for c, s in change_s.items() if s <= seconds + 1e-3)[1]
        assert is_like(color, due), seconds
    assert abs(lag_s(path, out)) < 0.005


def test_five_channels_and_a_deep_one(tmp_path: Path) -> None:
    """Each channel has its own tone, and all begin 0.4 s after the pictures."""
    tones = [440.0, 660.0, 880.0, 60.0, 1100.0, 1320.0]
    clock = np.arange(2 * RATE_HZ) / RATE_HZ
    sound = np.stack([0.2 * np.sin(2 * np.pi * hz * clock) for hz in tones]).astype(np.float32)
    sound[2] += noise(2.0, 1)[0]  # something to tell the time by
    path = write_video(
        tmp_path / "round.mkv", parts([RED, BLUE], 30, Fraction(25)), tick=Fraction(1, 1000),
        rate=Fraction(25), sound=sound, sound_from_s=0.4, layout="5.1",
    )  # fmt: skip
    out = tmp_path / "out.mp4"
    write_overlay(analysed(path), out)
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.layout.name == "5.1"
        heard = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)[
            :, RATE_HZ : 2 * RATE_HZ
        ]
    spectra = np.abs(np.fft.rfft(heard, axis=1))
    for channel, hz in enumerate(tones):
        assert np.argmax(spectra[channel]) == hz  # a second of sound: a bin a hertz
    assert abs(lag_s(path, out)) < 0.005
    assert moving_pictures(out).rate == 25
    before_s, after_s = (moving_pictures(p).duration_s for p in (path, out))
    assert after_s == pytest.approx(before_s, abs=1 / 25)


def test_what_is_drawn_is_there_at_its_time_only(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "grey.mp4", parts([GREY], 50, Fraction(25), width=640, height=360),
        tick=Fraction(1, 25), rate=Fraction(25),
    )  # fmt: skip
    out = tmp_path / "out.mp4"
    write_overlay(analysed(path, face=True), out)
    with FrameReader(out, frames_per_second=None, longer_side=None) as reader:
        frames = {round(25 * frame.seconds): frame.pixels.astype(int) for frame in reader}
    caption = {n: int(p[230:290, 220:420].max()) for n, p in frames.items()}
    assert all((caption[n] > 220) == (13 <= n < 37) for n in range(50) if n not in (12, 37))
    inside, edge = frames[25][150:200, 370:430], frames[25][130:220, 318:324]
    assert np.abs(inside - 120).max() < 12  # the face itself stays as it is
    assert (edge[..., 0] - edge[..., 2]).max() > 60  # its box is orange: what is said is negative
    assert np.abs(frames[5][130:220, 318:324] - 120).max() < 12
    bright = [int(np.argmax(p[320:350].min(axis=(0, 2)))) for p in frames.values()]
    assert bright[10] < bright[25] < bright[40]  # where it is being played
    assert not moving_pictures(out).has_audio


def test_a_stretch_is_written_alone(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "long.mp4", parts([RED, GREEN, BLUE], 25, Fraction(25)), tick=Fraction(1, 25),
        rate=Fraction(25), sound=noise(3.0, 2),
    )  # fmt: skip
    out = tmp_path / "out.mp4"
    write_overlay(analysed(path), out, start_s=0.6, end_s=2.2)
    found = colors_by_time(out)
    assert len(found) == 40
    assert is_like(found[9][1], RED)
    assert is_like(found[10][1], GREEN)
    assert is_like(found[35][1], BLUE)
    cut = read_sound(path, start_s=0.6, end_s=2.2).samples
    products = correlate(read_sound(out).samples, cut, mode="full", method="fft")
    assert abs(np.argmax(products) - (len(cut) - 1)) / SAMPLE_RATE_HZ < 0.005


@pytest.fixture
def short(tmp_path: Path) -> Path:
    shots = parts([RED], 10, Fraction(25), width=64, height=48)
    return write_video(tmp_path / "short.mp4", shots, tick=Fraction(1, 25), rate=Fraction(25))


@pytest.mark.skipif(sys.platform == "win32", reason="such a name cannot be given there")
def test_a_name_that_ffmpeg_would_take_for_an_address(short: Path, tmp_path: Path) -> None:
    path = short.rename(tmp_path / "a:%d.mp4")
    with contextlib.chdir(tmp_path):
        write_overlay(analysed(Path("a:%d.mp4")), Path("file:%d -b.mp4"))
    assert moving_pictures(tmp_path / "file:%d -b.mp4").duration_s == pytest.approx(0.4)
    assert path.exists()


def test_odd_sides_lose_a_line(tmp_path: Path) -> None:
    shots = parts([BLUE], 5, Fraction(25), width=66, height=50)
    path = write_video(
        tmp_path / "odd.mp4", shots, tick=Fraction(1, 25), rate=Fraction(25),
        setup=lambda stream: setattr(stream, "sample_aspect_ratio", Fraction(67, 66)),
    )  # fmt: skip
    out = tmp_path / "out.mp4"
    write_overlay(analysed(path), out)
    assert (moving_pictures(path).width, moving_pictures(out).width) == (67, 66)


def test_nothing_is_left_where_writing_fails(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay_module, "_PRESET", "no-such-preset")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "kept.mp4").write_bytes(b"mine")
    # Few pictures fit in the pipe before FFmpeg is seen to have gone; many do not.
    many = parts([RED], 30, Fraction(25), width=640, height=480)
    long = write_video(tmp_path / "long.mp4", many, tick=Fraction(1, 25), rate=Fraction(25))
    for path in (short, long):
        with pytest.raises(
            OutputError, match=r"out.kept\.mp4: (cannot be|was not) written"
        ) as told:
            write_overlay(analysed(path), folder / "kept.mp4", force=True)
        assert "\n" not in str(told.value)
    assert [p.name for p in folder.iterdir()] == ["kept.mp4"]
    assert (folder / "kept.mp4").read_bytes() == b"mine"
    with pytest.raises(ConfigError, match="exists already"):
        write_overlay(analysed(short), folder / "kept.mp4")


def test_nothing_is_left_where_somebody_interrupts(short: Path, tmp_path: Path) -> None:
    def interrupt(event: Progress) -> None:
        if event.stage == "overlay":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_overlay(analysed(short), tmp_path / "out.mp4", report=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ["short.mp4"]


def test_the_command_writes_it_beside_the_result(
    command: Callable[..., Result], road: FakeRoad, short: Path
) -> None:
    road.answer = lambda path: analysed(path)
    done = command("analyze", short, "--format", "csv", "--overlay", "over.mp4")
    assert done.code == 0
    assert done.out.startswith("path,")
    assert moving_pictures(Path("over.mp4")).duration_s == pytest.approx(0.4)
    again = command("analyze", short, "--overlay", "over.mp4")
    assert (again.code, again.out) == (1, "")
    assert again.err == "error: over.mp4: exists already; use --force to replace it\n"


@pytest.mark.parametrize(
    ("arguments", "code", "fact"),
    [
        (["a.mp4", "b.mp4", "--overlay", "o.mp4"], 2, "one MEDIA at a time"),
        (["a.mp4", "--overlay", "o.txt"], 2, "does not end in .mp4"),
        (["gone.mp4", "--overlay", "o.mp4"], 1, "gone.mp4: no such file; check the name"),
        (["sound.wav", "--overlay", "o.mp4"], 1, "sound.wav: has no moving pictures; name a video"),
        (["short.mp4", "--overlay", "short.mp4", "--force"], 1, "is read for this result"),
    ],
)
def test_what_cannot_become_a_video_is_refused_before_anything_is_loaded(
    command: Callable[..., Result], road: FakeRoad, short: Path, tmp_path: Path,
    arguments: list[str], code: int, fact: str,
) -> None:  # fmt: skip
    with av.open(str(tmp_path / "sound.wav"), "w") as sink:
        stream = sink.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        sink.mux([*stream.encode(frame), *stream.encode(None)])
    done = command("analyze", *arguments)
    assert (done.code, done.out) == (code, "")
    assert fact in " ".join(done.err.replace("│", " ").split())
    assert road.loaded == {}


def test_a_picture_alone_does_not_move(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "still.png")
    with pytest.raises(MediaError, match="has no moving pictures"):
        moving_pictures(tmp_path / "still.png")


def test_letters_that_no_font_has_are_told() -> None:
    fonts = Fonts()
    assert fonts.words("Straße, naïve, كثيرًا", 20).getname()[0] == "DejaVu Sans"
    assert fonts.missing == set()
    fonts.words("a\U0010fffe\ufdd0 \U000e0fff", 20)  # no letters, and never will be
    assert fonts.missing == set()
    fonts.words("\U000187ff", 20)  # Tangut
    assert fonts.missing <= {"\U000187ff"}


def test_right_to_left_words_stand_from_right_to_left() -> None:
    """The first letter of a Hebrew word, alef, is drawn at its right end."""
    if not lays_out("\u05d0"):
        pytest.skip("needs FriBiDi")
    font = Fonts().words("\u05d0\u05d5", 40)
    alef, vav = (font.getlength(letter) for letter in "\u05d0\u05d5")
    image = Image.new("L", (100, 60))
    ImageDraw.Draw(image).text((0, 0), "\u05d0\u05d5", fill=255, font=font)
    only = Image.new("L", (100, 60))
    ImageDraw.Draw(only).text((round(vav), 0), "\u05d0", fill=255, font=font)
    right = np.s_[:, round(vav) + 2 : round(vav + alef)]
    assert np.abs(np.asarray(image, int)[right] - np.asarray(only, int)[right]).mean() < 25
    assert vav < alef


def test_a_face_is_followed_between_two_looks_and_let_go() -> None:
    path = np.array(
        [[1.0, 0.1, 0.1, 0.2, 0.2], [1.1, 0.2, 0.1, 0.2, 0.2], [2.0, 0.5, 0.1, 0.2, 0.2]],
        np.float32,
    )
    whole = (0.3, 0.1, 0.2, 0.2)
    assert face_at(path, whole, 1.05) == pytest.approx((0.15, 0.1, 0.2, 0.2), abs=1e-5)
    assert face_at(path, whole, 1.2) == pytest.approx((0.2, 0.1, 0.2, 0.2), abs=1e-5)
    assert face_at(path, whole, 1.5) is None  # unseen for longer
    assert face_at(path[:0], whole, 1.5) == whole


def test_captions_begin_with_who_speaks() -> None:
    text = "This film is a long one, and " * 6 + "so on."
    found = analysis("a.mp4", segment(text, speaker="Anna  Lee"), segment("Yes.", start_s=3.2))
    overlay = Overlay(found, width=320, height=180, window=Span(0.0, 4.0), fonts=Fonts())
    first, *others = [caption.text for caption in overlay._captions]
    assert first.startswith("Anna Lee: This film")
    assert len(others) > 1 and not any("Anna" in text for text in others)
