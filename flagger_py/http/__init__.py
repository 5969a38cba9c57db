"""The one HTTP seam of the controller (the Kubernetes API has its own in `kube`)."""
