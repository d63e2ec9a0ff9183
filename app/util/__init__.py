"""Small leaves that need the standard library only, named for what they do."""
