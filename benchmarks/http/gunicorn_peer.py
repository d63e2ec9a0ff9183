"""Nothing: Gunicorn's own defaults, in place of the `gunicorn.conf.py` of the current folder."""
