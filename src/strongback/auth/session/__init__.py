"""Sessions: one for each signed-in device, with the family of tokens that was issued to it."""
