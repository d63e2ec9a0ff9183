"""The cache beside its peers, and under failure."""
