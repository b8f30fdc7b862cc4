#!/usr/bin/env python3
# runnel-test: timeout=600
"""One planted defect in forty: that the list and the machinery work is seen in every run of the tests."""
import sys

import _mutate

_mutate.need_plain_build()
sys.exit(_mutate.mutate("--planted", "--sample", "40"))
