"""./run bench grid: the grid in virtual time (sim_grid), Runnel to Runnel: goodput after slow start for each congestion
control over rates, round trips, losses and reordering; then what is promised of paths without loss, of reordering,
tail losses, stalls and equal flows, each with the figure and whether it holds. The same seed, the same figures.

  ./run bench grid --cc cubic --rate 100 --seeds 1     a part of it
  ./run bench grid --write-docs                        all of it, into docs/performance.md
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.environ.get("RUNNEL_BENCH", os.path.join(ROOT, "build", "release", "bench"))
LOSSES = (0, 0.01, 0.1, 1, 3, 5)
RTTS = (1, 10, 50, 100, 300)
RATES = (10, 100, 1000)


def sim_grid(options, *arguments):
    command = [os.path.join(BENCH, "sim_grid"), *map(str, arguments), "--jobs", str(options.jobs), "--json"]
    for setting in options.settings:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"grid: {' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def commit():
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def numbers(values):
    return ",".join(f"{v:g}" for v in values)


def grid_of(control, options):
    """{(rate, rtt, loss, reorder): runs}"""
    runs = sim_grid(options, "bulk", "--cc", control, "--rate", numbers(options.rate), "--rtt", numbers(options.rtt),
                    "--seeds", options.seeds)
    cells = {}
    for run in runs:
        cells.setdefault((run["rate_mbit"], run["rtt_ms"], run["loss_percent"], run["reorder_percent"]), []).append(run)
    return cells


def share(runs, field="share"):
    return statistics.fmean(run[field] for run in runs) * 100


def at_least(what, rate, rtt, figure, bound):
    return what, rate, rtt, figure, f"at least {bound:g}", figure >= bound


def promises(control, cells, options):
    """(what, rate, RTT, figure, bound, holds)"""
    for (rate, rtt, loss, reorder), runs in cells.items():
        if loss == 0 and reorder == 0:
            yield at_least("goodput without loss, % of the line", rate, rtt, share(runs), 95)
            # A millisecond at a quarter above the line's rate, which pacing allows, and two segments in any case.
            allowed = max(2, 1.25 * rate * 1e6 * 1e-3 / 12_000) + 2
            burst = max(run["burst_segments"] for run in runs)
            yield ("greatest burst after slow start, segments", rate, rtt, burst, f"at most {allowed:.0f}",
                   burst <= allowed)
        if loss == 0 and reorder == 1:
            kept = share(runs) / share(cells[rate, rtt, 0, 0]) * 100
            yield at_least("goodput kept with 1 % reordered by up to half an RTT, %", rate, rtt, kept, 95)
    for rtt in (10, 50, 100):
        for loss in (0.1, 1):
            # Tails are lost as seldom as anything: enough transfers for some hundred of them.
            runs = sim_grid(options, "tails", "--cc", control, "--rate", 100, "--rtt", rtt, "--loss", loss,
                            "--reorder", 0, "--first-seed", rtt, "--transfers", 15_000 if loss >= 1 else 60_000)
            lost = sum(run["tail_lost"] for run in runs)
            by_timeout = sum(run["tail_lost_timeout"] for run in runs)
            repaired = 100 * (1 - by_timeout / lost) if lost else 100.0
            yield at_least(f"tails lost at {loss:g} % ({lost}) repaired without RTO, %", 100, rtt, repaired, 95)
    for rtt in (10, 50, 100):
        run = sim_grid(options, "stalls", "--cc", control, "--rate", 100, "--rtt", rtt, "--loss", 0, "--reorder", 0,
                       "--duration", 200)[0]
        stalls = run["stalls_timed_out"]
        undone = 100 * run["stalls_undone"] / stalls if stalls else 100.0
        yield at_least(f"timeouts by stalls ({stalls}) undone, %", 100, rtt, undone, 95)
    for count in (2, 4, 8, 16):
        runs = sim_grid(options, "bulk", "--cc", control, "--rate", 100, "--rtt", 20, "--loss", 0, "--reorder", 0,
                        "--flows", count, "--duration", 60, "--seeds", options.seeds)
        index = statistics.fmean(run["jain"] for run in runs)
        yield at_least(f"Jain's index of {count} equal flows", 100, 20, index, 0.95)


def table(control, cells):
    lines = [f"#### {control}", ""]
    rates = sorted({cell[0] for cell in cells})
    for rate in rates:
        lines += [f"{rate:g} Mbit/s:", "", "| RTT, ms | " + " | ".join(f"{loss:g} %" for loss in LOSSES) + " |",
                  "| ---: |" + " ---: |" * len(LOSSES)]
        for rtt in sorted({cell[1] for cell in cells}):
            words = []
            for loss in LOSSES:
                pair = [cells.get((rate, rtt, loss, reorder)) for reorder in (0, 1)]
                words.append(" / ".join("–" if runs is None else f"{share(runs):.1f}" for runs in pair))
            lines.append(f"| {rtt:g} | " + " | ".join(words) + " |")
        lines.append("")
    return lines


def promise_table(rows):
    lines = ["| congestion control | what | Mbit/s | RTT, ms | figure | wanted | |",
             "| --- | --- | ---: | ---: | ---: | --- | --- |"]
    for control, (what, rate, rtt, figure, bound, holds) in rows:
        shown = f"{figure:.3f}" if "Jain" in what else f"{figure:.1f}"
        lines.append(f"| {control} | {what} | {rate:g} | {rtt:g} | {shown} | {bound} | {'' if holds else 'falls short'} |")
    return lines


def main():
    parser = argparse.ArgumentParser(prog="./run bench grid", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cc", default="cubic,bbr")
    parser.add_argument("--rate", type=float, nargs="*", default=RATES)
    parser.add_argument("--rtt", type=float, nargs="*", default=RTTS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="KEY=VALUE of both hosts")
    parser.add_argument("--write-docs", action="store_true", help="write the tables of docs/performance.md")
    options = parser.parse_args()
    lines, rows = [], []
    for control in options.cc.split(","):
        cells = grid_of(control, options)
        part = table(control, cells)
        print("\n".join(part), flush=True)
        lines += part
        for row in promises(control, cells, options):
            rows.append((control, row))
            if not row[-1]:
                print(f"falls short: {control}: {row[0]}: {row[3]:.2f} at {row[1]:g} Mbit/s, {row[2]:g} ms", flush=True)
    lines += ["#### What is promised", ""] + promise_table(rows)
    lines = [f"Commit {commit()}, {options.seeds} seed{'s' if options.seeds > 1 else ''} a cell.", ""] + lines
    print("\n".join(promise_table(rows)))
    if options.write_docs:
        path = os.path.join(ROOT, "docs", "performance.md")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        begin, end = "<!-- grid: begin -->", "<!-- grid: end -->"
        text = re.sub(f"{begin}.*{end}", lambda _: begin + "\n" + "\n".join(lines) + "\n" + end, text, flags=re.S)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


main()
