"""Matches Chinese research results, patents and enterprise technology needs."""

__version__ = "0.1.0"
