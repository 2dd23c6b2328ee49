"""A media file as the stages need it: what it is, its sound, its pictures. PyAV lives here."""

from dashfusion_models.media.build import ffmpeg_libraries
from dashfusion_models.media.moving import Moving, moving_pictures
from dashfusion_models.media.pictures import FrameReader, read_image
from dashfusion_models.media.preview import small_copy
from dashfusion_models.media.probing import duration_of, probe
from dashfusion_models.media.rewrite import write_sound
from dashfusion_models.media.sound import Sound, read_sound

__all__ = [
    "FrameReader",
    "Moving",
    "Sound",
    "duration_of",
    "ffmpeg_libraries",
    "moving_pictures",
    "probe",
    "read_image",
    "read_sound",
    "small_copy",
    "write_sound",
]
