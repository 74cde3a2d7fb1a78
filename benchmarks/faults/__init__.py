"""Every fault that has to be survived, thrown at and counted: `python -m benchmarks.faults --all` prints the table."""
