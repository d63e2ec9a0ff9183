"""What the foundation costs, measured: `python -m benchmarks --help`."""
