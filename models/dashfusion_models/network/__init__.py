"""The DashFusion network: torch only, but for the text encoder."""
