"""Threads with which the code server may be forked: they only wait, and hold no lock."""

LIFELINE_THREAD = "pims-lifeline"
"""The thread of each process of ``pims up`` that waits for its end, in one system call."""
