"""What CI systems and hooks run around mpbake: the GitHub Action, the GitLab component and the pre-commit hook.

These programs call the command `mpbake`, and use nothing else than it and Python's standard library.
"""
