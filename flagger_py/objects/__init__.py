"""Kubernetes objects as values: resources, errors, patches, comparison by meaning, and the `Objects` protocol. No I/O in here."""
