"""./run bench trace_cost: what the decision trace costs, in instructions (callgrind) of an in-order
1,500-byte segment, recording on against compiled out (CMake option RUNNEL_TRACE). Builds the second
variant in build/notrace."""
import argparse
import json
import os
import subprocess
import sys

import _instructions

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("-j", "--json", action="store_true", help="print one JSON object")
options = parser.parse_args()

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
build = os.path.join(root, "build", "notrace")


def quietly(*command):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"trace_cost: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if not os.path.exists(os.path.join(build, "build.ninja")):
    quietly("cmake", "--preset", "release", "-B", build, "-DRUNNEL_TRACE=OFF")
quietly("ninja", "-j2", "-C", build, "segments")

on = _instructions.a_segment(_instructions.segments_program())
off = _instructions.a_segment(os.path.join(build, "bench", "segments"))
cost = on / off - 1
if options.json:
    print(json.dumps({"on": round(on, 1), "off": round(off, 1), "cost_percent": round(cost * 100, 2)}))
else:
    print(f"{on:10.1f}  instructions a segment, decisions recorded")
    print(f"{off:10.1f}  recording compiled out")
    print(f"{cost:10.2%}  cost of the trace (at most 2 %)")
