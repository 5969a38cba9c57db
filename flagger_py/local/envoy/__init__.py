"""A real Envoy, programmed from HTTPRoute, HTTPProxy and VirtualService objects."""
