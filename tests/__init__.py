"""The tests share the cores: pytest runs two processes, and many a test starts more."""

from __future__ import annotations

import os

# What numpy, FAISS, torch and scikit-learn read when they are loaded, here and in every process that a test starts.
# Threads of theirs beyond the cores wait for each other in a loop: a notebook took eight times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
