"""Public suites and other servers as judges of the gateway. Not part of the product."""
