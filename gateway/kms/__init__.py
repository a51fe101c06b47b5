"""Key management services: who keeps the keys behind SSE-KMS."""
