"""
What the command line, schedulers and services call, in groups: one file a group, one method a command.

A command opens what it needs through its workspace, calls the rooms once, and closes everything.
"""
