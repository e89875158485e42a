"""The benchmarks' own parts; no figure is judged."""
