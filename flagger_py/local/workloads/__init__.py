"""The workload controllers: Deployments, ReplicaSets, DaemonSets and the endpoints of Services, as kube-controller-manager has them."""
