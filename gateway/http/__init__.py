"""HTTP/1.1 as the gateway speaks it, below the doors: one connection, one exchange, and how long each may take."""
