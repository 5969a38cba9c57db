"""The demo: two real rollouts on the embedded cluster, told live. `story` is what happens, `screen` and `lines` are how it is shown."""
