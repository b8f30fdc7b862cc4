#!/bin/sh
# runnel-test: timeout=1800 labels=long serial
# The same transfers with 32 MiB each way.
RUNNEL_LONG=1 exec python3 "$(dirname "$0")/explain_transfers.py"
