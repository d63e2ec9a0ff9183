"""The competitors: each module has `create_app()`."""
