"""Shows matches and reports: in a terminal, as an HTML page, as a contact sheet, as JSON."""
