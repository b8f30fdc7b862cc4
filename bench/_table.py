"""./run bench: every figure in one table, each beside what ran with it: lwIP on the same in-process path,
the kernel on the same machine. A row whose means are missing says so."""
import argparse
import json
import os
import re
import shutil
import subprocess

import _instructions

BENCH = os.environ["RUNNEL_BENCH"]
NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def micro(seconds):
    """Google Benchmark's medians, by name without repetitions."""
    text = output(os.path.join(BENCH, "runnel_bench"), "--benchmark_format=json",
                  f"--benchmark_min_time={seconds}", "--benchmark_repetitions=3",
                  "--benchmark_enable_random_interleaving=true")
    runs = json.loads(text)["benchmarks"] if text else []
    return {run["run_name"]: run for run in runs if run.get("aggregate_name") == "median"}


def throughput(seconds):
    text = output(os.path.join(BENCH, "throughput"), "--runs", "3", "--seconds", str(seconds)) or ""
    medians = {}
    for name in ("kernel to kernel", "Runnel to kernel", "kernel to Runnel"):
        row = re.search(rf"^{name}.*?\s{{2,}}([\d.]+)", text, re.M)
        medians[name] = float(row.group(1)) if row else None
    return medians


def gigabits(run):
    return run["bytes_per_second"] * 8 / 1e9 if run else None


def nanoseconds(run, counter=None):
    if not run:
        return None
    # The counter is seconds a segment times 1e9.
    return run[counter] if counter else run["real_time"] * NANOSECONDS[run["time_unit"]]


def rows(options):
    table = micro(options.seconds)
    runnel, lwip = table.get("in_order/mtu1500"), table.get("lwip_in_order/mtu1500")
    large = table.get("in_order/super64k")
    yield ("in-order segment of 1,500 bytes", nanoseconds(runnel, "ns_a_segment"), "ns",
           "lwIP", nanoseconds(lwip, "ns_a_segment"))
    yield ("in-order super-segment of 64 KB", nanoseconds(large, "ns_a_segment"), "ns", None, None)
    yield "in process, MTU 1500", gigabits(runnel), "Gbit/s", "lwIP", gigabits(lwip)
    yield "in process, 64 KB", gigabits(large), "Gbit/s", "lwIP, MTU 1500", gigabits(lwip)
    yield ("open and close a connection", nanoseconds(table.get("open_close")), "ns",
           "lwIP", nanoseconds(table.get("lwip_open_close")))
    if shutil.which("valgrind"):
        program = _instructions.segments_program()
        yield ("in-order segment of 1,500 bytes", _instructions.a_segment(program), "instr.", None,
               None)
        yield ("in-order super-segment of 64 KB", _instructions.a_segment(program, "--offload"),
               "instr.", None, None)
    else:
        yield "instructions a segment (needs valgrind)", None, "instr.", None, None
    memory = output(os.path.join(BENCH, "idle_memory"), "--json")
    yield ("idle connection, by RSS at 100,000",
           json.loads(memory)["bytes_per_idle_connection"] if memory else None, "bytes",
           "the limit", 512)
    tun = throughput(options.seconds * 2)
    for name, row in (("TUN, Runnel to kernel", "Runnel to kernel"),
                      ("TUN, kernel to Runnel", "kernel to Runnel")):
        yield name, tun[row], "Gbit/s", "kernel to kernel", tun["kernel to kernel"]


def main():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="a measurement (default 0.5)")
    parser.add_argument("-j", "--json", action="store_true", help="print one JSON array")
    options = parser.parse_args()
    if options.json:
        print(json.dumps([
            {"what": what, "figure": figure, "unit": unit, "beside": beside, "besides_figure": other}
            for what, figure, unit, beside, other in rows(options)]))
        return
    print(f"{'':42} {'Runnel':>12} {'unit':7} {'beside it':18} {'figure':>10} {'ratio':>6}")
    for what, figure, unit, beside, other in rows(options):
        shown = "–" if figure is None else f"{figure:,.1f}"
        line = f"{what:42} {shown:>12} {unit:7}"
        if beside:
            ratio = f"{figure / other:6.2f}" if figure and other else f"{'–':>6}"
            line += f" {beside:18} {f'{other:,.1f}' if other else '–':>10} {ratio}"
        print(line, flush=True)


main()
