"""Groundwork: a Flask backend foundation and a reference application on it."""
