"""The parts of `perf-scripts/latency`."""
