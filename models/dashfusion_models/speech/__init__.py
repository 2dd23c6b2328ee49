"""Speech becomes words with times: voice activity, the speech engines, given transcripts."""
