"""The HTTP layer beside other frameworks: CPU per request, in process and under servers."""
