"""Articles: Markdown in, sanitised HTML out, with tags, languages and versions."""
