"""The frozen extractors: one file a modality, one contract for all three."""
