"""A Docker engine, a registry and BuildKit nodes on this machine, for the demo and for the engine tests.

All parts are real and local. The testbed needs no account and no second machine. It uses the network only once, for
Debian's packages. `README.md` in this folder explains how the parts work together.
"""
