"""Words and silences become the utterances that are scored."""

from dashfusion_models.segment.cut import SegmentRule, silent_stretches, utterances
from dashfusion_models.segment.sentence import in_sentences

__all__ = ["SegmentRule", "in_sentences", "silent_stretches", "utterances"]
