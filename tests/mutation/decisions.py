#!/usr/bin/env python3
# runnel-test: timeout=1800 labels=long serial
"""Each decision of TCP, altered so that it is never taken, is missed by a script of tests/drill."""
import sys

import _mutate

_mutate.need_plain_build()
sys.exit(_mutate.mutate("--drill"))
