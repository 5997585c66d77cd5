"""The back ends of drivers, one module for each driver: everything about a driver that talks to Docker."""
