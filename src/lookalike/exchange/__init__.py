"""Collections as files of other programs, and back: export, import of embeddings, merging and splitting."""
