"""The images that builds produce: in engines, in archives, and as bases of other targets."""
