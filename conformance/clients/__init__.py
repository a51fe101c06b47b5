"""Real clients, unmodified, put to real use against a gateway over a socket; each is a check of its own.

    python -m conformance.clients [NAME ...] [--list] [--fast] [--write FILE]

``registry`` says what a check is, ``checks`` holds them, ``programs`` and ``sdk`` what runs inside a client's own
interpreter or toolchain, ``tools`` how clients come onto the machine: by package managers, into a cache folder outside
this tree.
"""
