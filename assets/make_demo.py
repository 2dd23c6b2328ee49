"""Make demo.mp4 again: a silent film of a face, with four sentences of a public domain reading.

    python assets/make_demo.py FILM.mp4 SPEECH_FOLDER demo.mp4

Where FILM and SPEECH_FOLDER come from is in README.md beside this script. The pictures are copied
packet by packet; only the sound is encoded.
"""

import argparse
import wave
from pathlib import Path

import av
import numpy as np

SENTENCES = ("0880", "0890", "0920", "0930")  # in the order of the book; 0870 has no opinion in it
SPEECH_RATE_HZ = 16_000
SOUND_RATE_HZ = 48_000
PAUSE_S = 0.4
PEAK = 10 ** (-3 / 20)  # 3 dB below full scale: room for what the encoder overshoots
SOUND_BITS_PER_SECOND = 64_000


def main() -> None:
    """Read the arguments and write the clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("speech", type=Path, help="folder with the four *-NNNN.wav")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    write_clip(arguments.film, joined_speech(arguments.speech), arguments.output)


def joined_speech(folder: Path) -> np.ndarray:
    """Return the sentences with pauses between them: int16, 16 kHz, one gain for all."""
    pause = np.zeros(round(PAUSE_S * SPEECH_RATE_HZ))
    parts = []
    for number in SENTENCES:
        (path,) = folder.glob(f"*-{number}.wav")
        with wave.open(str(path)) as sound:
            form = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
            if form != (SPEECH_RATE_HZ, 1, 2):
                raise SystemExit(f"{path}: {form} is not 16 kHz, mono, 16 bits")
            parts += [pause, np.frombuffer(sound.readframes(sound.getnframes()), "<i2")]
    speech = np.concatenate(parts[1:])
    return np.round(speech * (PEAK * 32767 / np.abs(speech).max())).astype(np.int16)


def write_clip(film: Path, speech: np.ndarray, output: Path) -> None:
    """Write the pictures of `film`, as long as `speech` lasts, with `speech` as their sound."""
    end_s = len(speech) / SPEECH_RATE_HZ
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(film)) as source, av.open(str(output), "w", options=options) as target:
        pictures_in = source.streams.video[0]
        pictures_out = target.add_stream_from_template(pictures_in)
        sound_out = target.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono")
        sound_out.bit_rate = SOUND_BITS_PER_SECOND
        packets = sound_packets(speech, sound_out)
        for packet in source.demux(pictures_in):
            # A start of the decoding order always decodes, whatever frames refer to.
            if packet.dts is None or packet.dts * packet.time_base >= end_s:
                break
            packet.stream = pictures_out
            packets.append(packet)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            target.mux(packet)


def sound_packets(speech: np.ndarray, stream: av.AudioStream) -> list[av.Packet]:
    """Return `speech` as encoded packets of `stream`."""
    frame = av.AudioFrame.from_ndarray(speech[None, :], format="s16", layout="mono")
    frame.sample_rate, frame.pts = SPEECH_RATE_HZ, 0
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SOUND_RATE_HZ)
    resampled = [*resampler.resample(frame), *resampler.resample(None)]
    return [packet for part in [*resampled, None] for packet in stream.encode(part)]


if __name__ == "__main__":
    main()
