"""Long runs of the cache under failure: what it promises, held against the clock."""
