"""Tests of the rules that keep other users and foreign web pages away."""
