"""The parts of `perf-scripts/compare`."""
