"""What the tests of this directory do; each is a number of scripts."""

import collections
import platform
from concurrent.futures import ThreadPoolExecutor

import _play

# Runnel misconfigured: each must show as differences without a class, or the comparison sees nothing.
PLANTED = ("tcp_rto_min_us=900000", "tcp_sack=0", "tcp_invalid_ratelimit=0")


def against_kernel(table, seed, count):
    scripts = _play.draw(seed, count)
    outcomes = _play.play(scripts)
    judged = {n: _play.judge(lines, outcomes[n], table) for n, (lines, _) in scripts.items()}
    suspects = {n: j for n, j in judged.items() if _play.unclassified(j)}
    suspects = _play.confirm(scripts, suspects, table)
    counts = collections.Counter(c.id for j in judged.values() for _, c in j if c)
    same = sum(1 for j in judged.values() if not j)
    whole = sum(1 for j in judged.values() if not any(c is None or c.stops for _, c in j))
    print(f"seed {seed}: {count} scripts, {same} without any difference, {whole} compared to their end, "
          f"{sum(counts.values())} differences of {len(counts)} classes, {len(suspects)} without a class")
    for n, j in suspects.items():
        print(f"  scripts/differential --seed {seed} --script {n}: {_play.describe(_play.unclassified(j)[0])}")
    return not suspects


def behind_tun(seed, count):
    """Runnel on a real device in real time against Runnel in virtual time: nothing may differ, no class needed."""
    scripts = _play.draw(seed, count)
    suspects = scripts
    for _ in range(3):
        outcomes = _play.play(suspects, "tun")
        suspects = {n: s for n, s in suspects.items() if _play.judge(s[0], outcomes[n], [])}
        if not suspects:
            break
    print(f"behind a TUN: {count} scripts, {len(suspects)} otherwise than in virtual time")
    for n in suspects:
        print(f"  scripts/differential --tun --seed {seed} --script {n}")
    return not suspects


def planted(table, seed, count):
    good = True
    scripts = _play.draw(seed, count)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda setting: _play.play(scripts, settings=[setting]), PLANTED))
    for setting, outcomes in zip(PLANTED, runs):
        found = sum(1 for n, (lines, _) in scripts.items()
                    if _play.unclassified(_play.judge(lines, outcomes[n], table)))
        print(f"planted {setting}: {found} scripts tell")
        good = good and found > 0
    return good


def run(seeds, count, tun, plant):
    table = _play.classes()
    same = all([against_kernel(table, seed, count) for seed in seeds])
    good = behind_tun(seeds[0], tun)
    if plant:
        good = planted(table, seeds[0], count) and good
    kernel = _play.table_kernel()
    if good and not same and not platform.release().startswith(kernel + "."):
        print(f"skipped: the table is of Linux {kernel}, and this is {platform.release()}, which differs elsewhere")
        return _play.SKIP
    return 0 if good and same else 1
