"""The target's autoscaler, and the copy of it that scales the primary (workloads:§4)."""
