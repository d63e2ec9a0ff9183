"""How well and how fast articles are found."""
