"""Base logic that knows no slice; every part is usable without the others."""
