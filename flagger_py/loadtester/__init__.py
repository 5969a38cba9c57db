"""The load tester: a server of gates that people open and close, and of commands that a Canary's webhooks start.

It has the API of Flagger's load tester (metrics:LT-01 to LT-42), so that webhooks which are written for that one work unchanged.
It starts whatever commands it is sent: that is its purpose. Whoever reaches its port may run them with the rights of its pod.
"""
