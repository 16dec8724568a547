"""Measures the relay beside what a platform would build or pick instead: `scripts/bench --help`."""
