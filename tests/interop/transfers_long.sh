#!/bin/sh
# runnel-test: timeout=1800 labels=long serial
# The same transfers with 1 GiB each.
RUNNEL_LONG=1 exec python3 "$(dirname "$0")/transfers.py"
