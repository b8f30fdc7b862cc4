#!/usr/bin/env python3
"""docs/drill_coverage.md is what the scripts of tests/drill reach, and they reach every decision of TCP."""
import os
import subprocess
import sys

root = os.environ.get("RUNNEL_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.exit(subprocess.run([sys.executable, os.path.join(root, "scripts/docs/drill_coverage.py"), "--check"]).returncode)
