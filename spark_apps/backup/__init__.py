"""Backups of a lake or of other files: copies with a manifest, by which a restore checks them."""
