"""The node: pods as real HTTP servers of this process, probed and reported as a kubelet does."""
