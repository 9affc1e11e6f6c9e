"""The real thing, started as a user starts it."""
