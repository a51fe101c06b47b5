"""The Nexus door: JSON-RPC over ``POST /api/nfs/<method>`` with a Bearer key."""
