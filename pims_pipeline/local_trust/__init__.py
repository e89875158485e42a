"""Protection against other users of this machine and against foreign web pages.

``origins`` decides which requests are ours, ``browser_guard`` applies that to a server without a
password, ``private_files`` restricts files to their owner, ``clients`` says what counts as one
client. Nothing here knows Dagster, the API or a setting: callers pass what a rule needs.
"""
