"""The HTTP service over the engine: JSON under /v1, health and metrics beside it."""
