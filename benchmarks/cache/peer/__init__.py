"""One module for each cache that is compared; its class `Peer` is told of in the worker."""
