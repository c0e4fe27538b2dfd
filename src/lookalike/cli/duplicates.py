"""The command that finds copies."""
