"""Logs, metrics and alert channels, none of which carry personal data.

Add a channel or an exporter here. What is logged, measured or alerted belongs to the caller.
"""
