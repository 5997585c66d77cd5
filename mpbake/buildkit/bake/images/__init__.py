"""Images that builds leave: in engines, in archives, and as bases of other targets."""
