"""From the bytes of an image file to RGB pixels: which formats are opened, and how safely."""
