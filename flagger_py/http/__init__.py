"""HTTP: the one client for everything but the Kubernetes API (which has its own in `kube`), and the one server."""
