"""An hour of everything that clients do, and whether the server is after it what it was before."""
