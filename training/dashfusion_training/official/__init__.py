"""The benchmarks' own feature files: pickles that are read without running anything, and stored."""
