"""A Docker engine, a registry and BuildKit nodes on this machine, for the demo and for the engine tests.

Everything is real and local. It needs no account, no second machine, and the network only for Debian's packages, once.
`README.md` in this folder says how the parts fit together.
"""
