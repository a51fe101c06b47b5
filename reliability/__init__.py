"""Whether the gateway keeps its promises when things go wrong: long checks, each a command with a seed."""
