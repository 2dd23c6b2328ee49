"""A media file as the stages need it: what it is, its sound, its pictures. PyAV lives here."""

from dashfusion_models.media.pictures import FrameReader, read_image
from dashfusion_models.media.probing import duration_of, probe
from dashfusion_models.media.sound import Sound, read_sound

__all__ = ["FrameReader", "Sound", "duration_of", "probe", "read_image", "read_sound"]
