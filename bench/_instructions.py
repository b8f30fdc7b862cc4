"""Instructions of one segment, counted by callgrind: the difference of two transfers, so that start-up
falls out. Both ends and the wire between them are in the figure."""
import os
import re
import subprocess
import tempfile

SHORT, LONG = 4, 12  # MiB
# callgrind counts `rep movsb` once for each byte: let the C library copy by vectors instead.
COPY_BY_VECTORS = "glibc.cpu.x86_rep_movsb_threshold=4294967296"


def run(program, megabytes, *options):
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out",
             program, "--megabytes", str(megabytes), *options],
            env=os.environ | {"GLIBC_TUNABLES": COPY_BY_VECTORS},
            capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise SystemExit(f"bench: valgrind failed:\n{done.stderr}")
    instructions = int(re.search(r"Collected : (\d+)", done.stderr).group(1))
    segments = int(done.stdout.split()[0])
    return instructions, segments


def a_segment(program, *options):
    """Instructions a segment of `program`, a build of bench/tools/segments.cpp."""
    few, many = (run(program, size, *options) for size in (SHORT, LONG))
    return (many[0] - few[0]) / (many[1] - few[1])


def segments_program():
    return os.path.join(os.environ["RUNNEL_BENCH"], "segments")
