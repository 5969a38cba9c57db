"""The resources that the parts of the embedded cluster read and write, beyond those of `flagger_py.objects`."""

from typing import Final

from flagger_py.objects.resource import Resource

POD: Final = Resource("", "v1", "pods", "Pod")
NODE: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACE: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
ENDPOINTS: Final = Resource("", "v1", "endpoints", "Endpoints")
ENDPOINT_SLICE: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
REPLICA_SET: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
