"""Target kinds: what is observed of a workload and its primary copy, and what is done to them. Pure rendering, thin I/O."""
