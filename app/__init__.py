"""The reference application: accounts, articles, comments and notifications."""

import gc

# By default the collector looks for cycles after every 700 new objects. Importing makes hundreds of
# thousands and frees none, so that a fifth of the start went into looking; a request makes a few
# thousand, nearly all of which are freed without it.
gc.set_threshold(50_000, 20, 20)
