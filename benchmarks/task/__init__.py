"""What our tasks cost beside bare Celery, how soon they begin, and what an idle worker takes."""
