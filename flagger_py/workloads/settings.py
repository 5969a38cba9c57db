"""The command-line flags that workloads read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkloadSettings:
    """How targets are recognised and copied (workloads:GEN-03)."""

    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    """Label keys in order of preference; the first one in a target's selector tells its pods from the primary's (`-selector-labels`)."""
    include_label_prefixes: tuple[str, ...] = ()
    """Prefixes of the labels and annotations that generated objects get from their source; `*` means all (`-include-label-prefix`)."""
    config_tracking: bool = True
    """Whether the primary gets its own copies of ConfigMaps and Secrets (`-enable-config-tracking`)."""
