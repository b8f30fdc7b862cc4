#!/usr/bin/env python3
# runnel-test: timeout=240 serial
"""60 scripts on the Linux kernel and on Runnel: no difference without a class; a sample behind a real TUN is the
same as in virtual time; and three defects planted by configuration are each found."""

import sys

sys.dont_write_bytecode = True
import _suite

sys.exit(_suite.run(seeds=[1], count=60, tun=25, plant=True))
