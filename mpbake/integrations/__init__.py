"""The programs that CI systems and hooks run: the GitHub Action, the GitLab component and the pre-commit hook.

These programs call the command `mpbake`, and use only this command and Python's standard library.
"""
