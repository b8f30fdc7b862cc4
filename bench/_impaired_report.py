"""Tables of bench/impaired.py: lines for people, the summary for --json, the section of docs/performance.md."""
import re

from _impaired_stats import geometric_mean, interval, jain

BASE = "kernel-kernel"
NAMES = {"kernel-kernel": "Linux → Linux", "runnel-kernel": "Runnel → Linux", "kernel-runnel": "Linux → Runnel",
         "runnel-runnel": "Runnel → Runnel"}
# What the issue asks for: see "Done when" of docs/performance.md.
LEAST_MEAN, LEAST_CELL, FAIR = 1.0, 0.9, (0.8, 1.25)


def goodput(run, field="mbit"):
    return run["flows"][0][field]


def ratios(result, pair, field="mbit"):
    """Of the seeds in which both ran and the wire kept up."""
    found = []
    for seed, run in result.get(pair, {}).items():
        base = result.get(BASE, {}).get(seed)
        if base and base["valid"] and run["valid"] and goodput(base, field) > 0 and goodput(run, field) > 0:
            found.append(goodput(run, field) / goodput(base, field))
    return found


def median(values):
    values = sorted(values)
    return values[len(values) // 2] if values else None


def cell_row(cell, result):
    row = {"rate_mbit": cell[0], "rtt_ms": cell[1], "loss_percent": cell[2], "reorder_percent": cell[3], "pairs": {}}
    for pair, by_seed in result.items():
        good = [run for run in by_seed.values() if run["valid"]]
        mean, low, high = interval(ratios(result, pair))
        row["pairs"][pair] = {
            "runs": len(by_seed), "valid": len(good), "mbit": median([goodput(run) for run in good]),
            "mbit_second_half": median([goodput(run, "mbit_half") for run in good]),
            "ratio": mean, "low": low, "high": high,
            "retransmitted": median([run["flows"][0]["retransmitted"] for run in good]),
            "timeouts": median([run["flows"][0]["timeouts"] for run in good])}
    return row


def cell_line(control, cell, result):
    row = cell_row(cell, result)
    words = [f"{control:6} {cell[0]:5g} Mbit/s {cell[1]:4g} ms  loss {cell[2]:<5g} reord. {cell[3]:<3g}"]
    base = row["pairs"].get(BASE)
    words.append(f"Linux {show(base['mbit'] if base else None, 8, 2)}")
    for pair in ("runnel-kernel", "kernel-runnel", "runnel-runnel"):
        if pair in row["pairs"]:
            p = row["pairs"][pair]
            words.append(f"{NAMES[pair]} {show(p['ratio'], 6, 3)} [{show(p['low'], 5, 2)},{show(p['high'], 5, 2)}]")
    return "  ".join(words)


def show(value, width=0, digits=2):
    return f"{'–':>{width}}" if value is None else f"{value:{width}.{digits}f}"


# --- fairness ----------------------------------------------------------------------------------------------


def fairness_row(name, cell, flows, made):
    """`made`: (flows in their order, run). A contest of two tells the first one's goodput over the other's; equal flows
    tell Jain's index. Second half of each run."""
    two = len(flows) == 2
    values = []
    for ordered, run in made:
        if not run["valid"]:
            continue
        rates = [flow["mbit_half"] for flow in run["flows"]]
        if two and min(rates) > 0:
            values.append(rates[0] / rates[1] if ordered == flows else rates[1] / rates[0])
        elif not two:
            values.append(jain(rates))
    mean, low, high = interval(values) if values else (None, None, None)
    return {"name": name, "cell": list(cell), "flows": flows, "kind": "ratio" if two else "jain",
            "runs": len(made), "valid": len(values), "mean": mean, "low": low, "high": high,
            "least": min(values, default=None), "most": max(values, default=None)}


def fairness_line(row):
    rate, rtt = row["cell"][:2]
    what = "goodput ratio" if row["kind"] == "ratio" else "Jain"
    return (f"{row['name']:34} {row['flows'][0].split(':')[1]:8} {rate:5g} Mbit/s {rtt:4g} ms  {what:13} "
            f"{show(row['mean'], 6, 3)} [{show(row['low'], 5, 2)},{show(row['high'], 5, 2)}]  "
            f"least {show(row['least'], 5, 2)} most {show(row['most'], 5, 2)} of {row['valid']} runs")


# --- summary -------------------------------------------------------------------------------------------------


def summary(grids, fairness, runs, options):
    found = {"controls": {}, "fairness": fairness, "runs": len(runs.known), "runs_a_cell": options.runs,
             "invalid": len(runs.failures),
             "repeated": sum(run.get("attempts", 1) - 1 for run in runs.known.values())}
    for control, grid in grids.items():
        rows = [cell_row(cell, result) for cell, result in grid.items()]
        means = {}
        for pair in options.pairs:
            if pair != BASE:
                cells = [row["pairs"][pair] for row in rows if row["pairs"][pair]["ratio"] is not None]
                means[pair] = {"geometric_mean": geometric_mean([p["ratio"] for p in cells]), "cells": len(cells),
                               "below": sum(p["high"] is not None and p["high"] < LEAST_CELL for p in cells)}
        found["controls"][control] = {"cells": rows, "pairs": means}
    return found


def closing_lines(summary_):
    lines = []
    for control, part in summary_["controls"].items():
        for pair, mean in part["pairs"].items():
            lines.append(f"{control}: {NAMES[pair]} over Linux → Linux: geometric mean {show(mean['geometric_mean'], 0, 3)} "
                         f"of {mean['cells']} cells; {mean['below']} wholly below {LEAST_CELL}")
    lines.append(f"{summary_['runs']} runs, {summary_['repeated']} repeated and {summary_['invalid']} left out because the "
                 "wire could not keep up")
    return "\n".join(lines)


# --- docs/performance.md -------------------------------------------------------------------------------------


def ratio_text(pair):
    if not pair or pair["ratio"] is None:
        return "–"
    if pair["low"] is None:
        return f"{pair['ratio']:.2f}"
    return f"{pair['ratio']:.2f} ({pair['low']:.2f}–{pair['high']:.2f})"


def control_section(control, part):
    others = [pair for pair in NAMES if pair in part["pairs"]]
    lines = [f"#### {control}", "",
             "| Mbit/s | RTT, ms | loss, % | reordered, % | Linux → Linux, Mbit/s | "
             + " | ".join(NAMES[pair] for pair in others) + " |",
             "| ---: | ---: | ---: | ---: | ---: |" + " ---: |" * len(others)]
    for row in part["cells"]:
        base = row["pairs"].get(BASE) or {}
        lines.append(f"| {row['rate_mbit']:g} | {row['rtt_ms']:g} | {row['loss_percent']:g} | {row['reorder_percent']:g} | "
                     f"{show(base.get('mbit'))} | " + " | ".join(ratio_text(row["pairs"].get(p)) for p in others) + " |")
    means = " | ".join(f"**{show(part['pairs'][p]['geometric_mean'])}**" for p in others)
    lines.append(f"| | | | | geometric mean | {means} |")
    below = [f"{part['pairs'][p]['below']} ({NAMES[p]})" for p in others if part["pairs"][p]["below"]]
    lines += ["", f"Cells whose interval lies wholly below {LEAST_CELL}: {', '.join(below) or 'none'}."]
    return lines


def fairness_section(rows):
    lines = ["#### Fairness on one bottleneck", "",
             "| what | Mbit/s | RTT, ms | measure | mean (95 %) | least–most | runs |",
             "| --- | ---: | ---: | --- | ---: | ---: | ---: |"]
    for row in rows:
        measure = "ratio of goodputs" if row["kind"] == "ratio" else "Jain's index"
        control = "" if row["kind"] == "ratio" else f" ({row['flows'][0].split(':')[1].split('*')[0]})"
        span = "" if row["low"] is None else f" ({row['low']:.2f}–{row['high']:.2f})"
        lines.append(f"| {row['name']}{control} | {row['cell'][0]:g} | {row['cell'][1]:g} | {measure} | "
                     f"{show(row['mean'], 0, 3)}{span} | {show(row['least'])}–{show(row['most'])} | {row['valid']} |")
    return lines


def write_docs(path, summary_):
    """Replaces what stands between the markers."""
    lines = [f"Commit {summary_['commit']}, on {summary_['machine']}; {summary_['runs_a_cell']} seeds a cell; {summary_['runs']} runs, "
             f"{summary_['repeated']} repeated and {summary_['invalid']} left out because the wire could not keep up.", ""]
    for control, part in summary_["controls"].items():
        lines += control_section(control, part) + [""]
    if summary_["fairness"]:
        lines += fairness_section(summary_["fairness"]) + [""]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    begin, end = "<!-- impaired: begin -->", "<!-- impaired: end -->"
    text = re.sub(f"{begin}.*{end}", lambda _: begin + "\n" + "\n".join(lines) + end, text, flags=re.S)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
