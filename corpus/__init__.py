"""Texts the engine works with: the domain dictionary, stop words, programmes and sample records."""
