"""Matches and reports as something to look at: a terminal, a page, a contact sheet, JSON."""
