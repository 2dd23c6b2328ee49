"""Words and silences become the utterances that are scored."""

from dashfusion_models.segment.cut import SegmentRule, silent_stretches, utterances

__all__ = ["SegmentRule", "silent_stretches", "utterances"]
