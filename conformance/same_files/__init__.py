"""Every client sees the same files on every store: ``python -m conformance.same_files``."""
