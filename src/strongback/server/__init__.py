"""The WSGI servers: Gunicorn and Granian."""
