"""The back ends of drivers: one module for each driver, with everything that talks to Docker."""
