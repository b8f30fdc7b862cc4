#!/usr/bin/env python3
"""The generated pages in docs/ are what the sources say."""
import os
import subprocess
import sys

root = os.environ.get("RUNNEL_SOURCE") or os.path.join(os.path.dirname(__file__), "..", "..")
sys.exit(subprocess.run([sys.executable, os.path.join(root, "scripts/docs/tables.py"), "--check"]).returncode)
