#!/usr/bin/env python3
# runnel-test: timeout=1500 labels=long serial
"""1,500 scripts of three seeds on the Linux kernel and on Runnel, and 300 behind a real TUN."""

import sys

sys.dont_write_bytecode = True
import _suite

sys.exit(_suite.run(seeds=[1, 2, 3], count=500, tun=300, plant=False))
