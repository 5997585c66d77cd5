"""A Docker engine, a registry and BuildKit nodes on this machine, for the demo and for the engine tests.

Everything is real and local: no account, no second machine and no network but Debian's packages, once.
"""
