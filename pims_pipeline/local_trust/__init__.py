"""What keeps other users and foreign web pages of this machine away from the pipeline.

``origins`` decides which requests come from ourselves, ``browser_guard`` puts that in front of
a server that asks for no password, ``private_files`` keeps files to their owner. Nothing here
knows Dagster, the API or any setting: who uses a rule, passes what is its own.
"""
