"""How fast the gateway is, beside its rivals, on one machine: ``python -m benchmarks``."""
