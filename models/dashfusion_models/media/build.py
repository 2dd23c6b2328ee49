"""What PyAV brings of FFmpeg."""

import av

__all__ = ["ffmpeg_libraries"]


def ffmpeg_libraries() -> tuple[str, str]:
    """Return the version of FFmpeg's libraries and their licence as they state it; empty unknown.

    PyAV keeps both under names that are not public.
    """
    known = getattr(getattr(av, "_core", None), "library_meta", {})
    stated = {str(one["license"]) for one in known.values() if one.get("license")}
    return str(getattr(av, "ffmpeg_version_info", "")), " AND ".join(sorted(stated))
