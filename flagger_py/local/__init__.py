"""The embedded cluster: an API server, workload controllers, pods, an Envoy gateway, PromQL and a load generator, all on loopback."""
