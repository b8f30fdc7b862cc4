#!/usr/bin/env python3
# runnel-test: timeout=7200 labels=long serial
"""Of 50 random mutants at least 85 % are killed."""
import sys

import _mutate

_mutate.need_plain_build()
sys.exit(_mutate.mutate("--seed", "1"))
