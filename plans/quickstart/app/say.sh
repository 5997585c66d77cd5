#!/bin/sh
# Print the greeting that was made for this platform, and the machine that it runs on.
cat /opt/greeting/text
uname -m
