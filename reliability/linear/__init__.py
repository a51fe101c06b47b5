"""Whether each key behaves as one register that everybody acts on at once, shown by what many clients saw."""
