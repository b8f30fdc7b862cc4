#!/usr/bin/env python3
# runnel-test: timeout=3600 labels=long serial
"""Each planted defect is caught by a test that docs/planted_defects.md names for it."""
import sys

import _mutate

_mutate.need_plain_build()
sys.exit(_mutate.mutate("--planted"))
