"""The shell around the core: it observes, asks `decide`, stores the status, and brings the cluster to it."""
