"""Hostile input: seeded fuzzers of every parser that reads what a client sends.

``python -m reliability.fuzz [TARGET …] --cases 1000000 --seed 1``. A *target* makes cases, which are bytes, and checks
one: whatever it raises is a finding. Cases are made in batches from the seed, the target's name and the number of the
batch, so that one is told by its number alone, even after the process that ran it has hung or died.
"""
