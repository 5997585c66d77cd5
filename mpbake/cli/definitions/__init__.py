"""The commands: their help texts, their options, and the modules that do the work.

A new command is one module in `cli/commands`, one class in `cli/options`, its definition here, and its name in `table`.
"""
