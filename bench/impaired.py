"""./run bench impaired: Runnel's sender and receiver beside the kernel's on impaired paths in real time. The same seed
of losses and reordering is given to kernel to kernel, Runnel to kernel, kernel to Runnel and Runnel to Runnel in
turn, with equal buffers and the same congestion control by name, read back; goodput is told as a ratio to kernel to
kernel of the same seed, with a 95 % interval a cell and a geometric mean over the cells. Then fairness on one
bottleneck. A run in which the wire could not keep up is repeated, and what never worked is left out and said.

  ./run bench impaired --cells 100/20/0.1 --runs 3          one path: Mbit/s / RTT ms / loss % [/ reordered %]
  ./run bench impaired --log runs.jsonl --write-docs        everything; two hours; can be broken off and goes on
"""
import argparse
import concurrent.futures
import json
import os
import platform
import re
import subprocess
import sys
import threading

import _impaired_report as report

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.environ.get("RUNNEL_BENCH", os.path.join(ROOT, "build", "release", "bench"))
PAIRS = ("kernel-kernel", "runnel-kernel", "kernel-runnel", "runnel-runnel")
ATTEMPTS = 4


def default_cells(control):
    """Rates, round trips, losses and reorderings that real time can afford on two processors. BBR is compared up to
    1 % of loss: the kernel's first version ignores loss, the third does not by design."""
    losses = {"bbr": (0, 0.1, 1)}.get(control, (0, 0.1, 1, 3))
    cells = []
    for rate, rtts in ((10, (10, 50, 100)), (100, (1, 10, 50, 100)), (1000, (10, 50))):
        for rtt in rtts:
            cells += [(rate, rtt, loss, 0) for loss in losses]
            cells.append((rate, rtt, 0, 1))
    return cells


def cell_of(text):
    parts = [float(part) for part in text.split("/")]
    if len(parts) not in (3, 4):
        raise argparse.ArgumentTypeError(f"{text}: write RATE/RTT/LOSS or RATE/RTT/LOSS/REORDER")
    return tuple(parts) + (0.0,) * (4 - len(parts))


def at_once(rate, options):
    """Runs that the machine carries beside each other without the wire falling behind."""
    return options.jobs or (4 if rate <= 10 else 2 if rate <= 50 else 1)


def seconds_of(cell, options):
    rate, rtt = cell[0], cell[1]
    return options.seconds or max(6 if rate > 10 else 12, 60 * rtt / 1000)


class Runs:
    """All runs that have been made, by what was asked for; kept in a file of JSON lines if there is one."""

    def __init__(self, path):
        self.path, self.lock, self.known = path, threading.Lock(), {}
        self.failures = []
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    entry = json.loads(line)
                    self.known[entry["key"]] = entry["run"]

    def make(self, flows, cell, seed, seconds, extra=()):
        """The run's JSON; None when the wire never kept up."""
        rate, rtt, loss, reorder = cell
        command = [os.path.join(BENCH, "impaired_wire"), "--rate", f"{rate:g}", "--rtt", f"{rtt:g}",
                   "--loss", f"{loss:g}", "--reorder", f"{reorder:g}", "--seed", str(seed),
                   "--seconds", f"{seconds:g}", *extra]
        for flow in flows:
            command += ["--flow", flow]
        key = " ".join(command[1:])
        if key in self.known:
            return self.known[key]
        for attempt in range(ATTEMPTS):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 77:
                sys.exit(f"impaired: {done.stderr.strip()}")
            if done.returncode != 0:
                sys.exit(f"impaired: {key}: {done.stderr.strip()}")
            run = json.loads(done.stdout)
            wrong = [f for f in run["flows"] if f["wrong"] or not same_control(f)]
            if wrong:
                sys.exit(f"impaired: {key}: {wrong}: octets arrived wrong, or another congestion control ran")
            run["attempts"] = attempt + 1
            if run["valid"] or attempt == ATTEMPTS - 1:
                break
        with self.lock:
            if not run["valid"]:
                self.failures.append(key)
            self.known[key] = run
            if self.path:
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "run": run}) + "\n")
        return run


def same_control(flow):
    plain = re.sub("[^a-z]", "", flow["cc_read_back"].lower())
    wanted = {"reno": ("reno", "newreno"), "bbr": ("bbr", "bbrv")}.get(flow["cc"], (flow["cc"],))
    return plain in wanted


def measure_cell(runs, cell, control, options, extra):
    """Seed by seed, the pairs in an order that turns, so that a slow drift of the machine hits all alike."""
    seconds = seconds_of(cell, options)
    result = {}
    for seed in range(options.first_seed, options.first_seed + options.runs):
        turn = seed % len(options.pairs)
        for pair in options.pairs[turn:] + options.pairs[:turn]:
            run = runs.make([f"{pair}:{control}"], cell, seed, seconds, extra)
            result.setdefault(pair, {})[seed] = run
    return result


def measure_grid(runs, control, options, extra):
    cells = options.cells or default_cells(control)
    grid = {}
    for rate in sorted({cell[0] for cell in cells}):
        here = [cell for cell in cells if cell[0] == rate]
        with concurrent.futures.ThreadPoolExecutor(at_once(rate, options)) as pool:
            made = pool.map(lambda cell: measure_cell(runs, cell, control, options, extra), here)
            for cell, result in zip(here, made):
                grid[cell] = result
                if not options.json:
                    print(report.cell_line(control, cell, result), flush=True)
    return grid


def measure_fairness(runs, options, extra):
    """Beside each other on one bottleneck: shares in the run's second half."""
    found = []
    cells = options.fair_cells or [(10, 50, 0, 0), (100, 10, 0, 0), (100, 50, 0, 0)]
    contests = [("Runnel CUBIC beside Linux CUBIC", ["runnel-kernel:cubic", "kernel-kernel:cubic"]),
                ("Linux CUBIC beside Linux CUBIC", ["kernel-kernel:cubic", "kernel-kernel:cubic"]),
                ("Runnel BBR beside Linux CUBIC", ["runnel-kernel:bbr", "kernel-kernel:cubic"]),
                ("Linux BBR beside Linux CUBIC", ["kernel-kernel:bbr", "kernel-kernel:cubic"])]
    contests = [c for c in contests if all(f.split(":")[1] in options.controls + ["cubic"] for f in c[1])
                and (any("bbr" in f for f in c[1]) or "cubic" in options.controls)]
    equal = [(f"{count} equal flows of {stack}", [f"{stack.lower()}-kernel:{control}*{count}"])
             for count in options.equal for stack in ("Runnel", "kernel")
             for control in options.controls]
    for cell in cells:
        seconds = options.fair_seconds or max(60, 1200 * cell[1] / 1000)
        for name, flows in contests + equal:
            with concurrent.futures.ThreadPoolExecutor(at_once(cell[0], options)) as pool:
                def one(seed, flows=flows):
                    # Who comes first changes from run to run.
                    ordered = flows if seed % 2 else flows[::-1]
                    return ordered, runs.make(ordered, cell, seed, seconds, extra)
                made = list(pool.map(one, range(options.first_seed,
                                                options.first_seed + options.fair_runs)))
            row = report.fairness_row(name, cell, flows, made)
            found.append(row)
            if not options.json:
                print(report.fairness_line(row), flush=True)
    return found


def arguments():
    parser = argparse.ArgumentParser(prog="./run bench impaired", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", dest="controls", default="cubic,bbr", help="of both stacks, by name (cubic,bbr)")
    parser.add_argument("--cells", type=cell_of, nargs="*", help="RATE/RTT/LOSS[/REORDER]; default: a grid")
    parser.add_argument("--pairs", default=",".join(PAIRS), help="which of " + ", ".join(PAIRS))
    parser.add_argument("--runs", type=int, default=10, help="paired seeds a cell (default 10)")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="a run; default as the path needs")
    parser.add_argument("--jobs", type=int, default=0, help="runs at once; default by the rate")
    parser.add_argument("--no-fairness", action="store_true")
    parser.add_argument("--fair-cells", type=cell_of, nargs="*")
    parser.add_argument("--fair-runs", type=int, default=6)
    parser.add_argument("--fair-seconds", type=float, default=0)
    parser.add_argument("--equal", type=lambda text: [int(n) for n in text.split(",") if n], default=[2, 4, 8, 16],
                        help="numbers of equal flows (2,4,8,16)")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="KEY=VALUE of Runnel's hosts")
    parser.add_argument("--log", help="keep every run in this file of JSON lines, and do not repeat what is there")
    parser.add_argument("--write-docs", action="store_true", help="write the tables of docs/performance.md")
    parser.add_argument("-j", "--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    options.controls = options.controls.split(",")
    options.pairs = tuple(options.pairs.split(","))
    return options


def main():
    options = arguments()
    runs = Runs(options.log)
    extra = [word for setting in options.settings for word in ("--set", setting)]
    grids = {control: measure_grid(runs, control, options, extra) for control in options.controls}
    fairness = [] if options.no_fairness else measure_fairness(runs, options, extra)
    summary = report.summary(grids, fairness, runs, options)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    summary["commit"] = commit.stdout.strip() or "unknown"
    summary["machine"] = f"{os.cpu_count()} processors, Linux {platform.release()}"
    if options.json:
        print(json.dumps(summary, indent=1))
    else:
        print(report.closing_lines(summary))
    if options.write_docs:
        report.write_docs(os.path.join(ROOT, "docs", "performance.md"), summary)


if __name__ == "__main__":
    main()
