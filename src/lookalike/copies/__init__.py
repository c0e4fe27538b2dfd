"""Which images are copies of one another: small pictures that are kept of images, and their comparison."""
