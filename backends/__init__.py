"""Stores that keep blobs. Nothing here knows the gateway, a door or a catalog."""
