"""Arithmetic of bench/impaired.py: ratios of paired runs, their geometric means and intervals, fairness."""
import math
import statistics

# Two-sided 95 % of Student's t, by degrees of freedom; beyond the table the normal's.
T95 = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228,
       11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093,
       20: 2.086, 25: 2.060, 30: 2.042}


def t95(degrees):
    known = [d for d in T95 if d <= degrees]
    return 1.96 if degrees > 30 else T95[max(known)]


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values)) if values else None


def interval(ratios):
    """Geometric mean of paired ratios and its 95 % interval, by Student's t on the logarithms; without an
    interval for fewer than two."""
    logs = [math.log(r) for r in ratios]
    if not logs:
        return None, None, None
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(mean), None, None
    half = t95(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def jain(values):
    squares = sum(v * v for v in values)
    return sum(values) ** 2 / (len(values) * squares) if squares > 0 else 1.0
