"""What runs inside a Python client's own interpreter: the library's import, the standard library and ``files``."""
