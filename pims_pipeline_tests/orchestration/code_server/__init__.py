"""Tests of the code server and of the processes of its runs."""
