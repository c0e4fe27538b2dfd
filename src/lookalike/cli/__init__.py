"""The command line: wording and exit codes. What a command does is done by the rooms below."""
