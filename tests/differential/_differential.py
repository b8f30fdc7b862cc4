"""scripts/differential: plays drawn scripts on the Linux kernel and on Runnel and says where they differ."""

import argparse
import collections
import sys

import _compare
import _generate
import _play


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/differential", description=__doc__,
                                     epilog="Example: scripts/differential --seed 7 --count 100")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="how many scripts (at most 4000)")
    parser.add_argument("--script", type=int, help="only this one of them, with both traces")
    parser.add_argument("--file", help="play the steps in this file instead (- is standard input)")
    parser.add_argument("--v6", action="store_true", help="with --file: over IPv6")
    parser.add_argument("--tun", action="store_true",
                        help="Runnel behind a real TUN against Runnel in virtual time")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="Runnel's configuration")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--show", type=int, default=3, help="print so many failing scripts")
    parser.add_argument("--all", action="store_true", help="list classified differences, too")
    parser.add_argument("--group", action="store_true", help="group unclassified first differences, no confirming")
    return parser.parse_args()


def show_one(lines, v6, table, options, number=0):
    pair = _play.play({number: (lines, v6)}, "tun" if options.tun else "kernel", options.set)[number]
    judged = _play.judge(lines, pair, table)
    print(_play.listing(lines, pair, judged))
    return 1 if _play.unclassified(judged) else 0


def group(scripts, outcomes, table):
    groups = collections.defaultdict(list)
    for n, (lines, _) in scripts.items():
        for d in _play.unclassified(_play.judge(lines, outcomes[n], table)):
            groups[_play.signature(d)].append((n, d))
    for signature, members in sorted(groups.items(), key=lambda g: -len(g[1])):
        print(f"{len(members):4} {' '.join(signature)}  scripts {' '.join(str(n) for n, _ in members[:6])}")
        print("       e.g.", _play.describe(members[0][1]))
    return len(groups)


def main():
    options = arguments()
    table = [] if options.tun else _play.classes()
    if options.file:
        text = sys.stdin.read() if options.file == "-" else open(options.file).read()
        lines = [x.strip() for x in text.splitlines() if x.strip()]
        return show_one(lines, options.v6, table, options)
    if options.script is not None:
        n = options.script
        return show_one(_generate.draw(options.seed, n), n % 5 == 4, table, options, n)
    scripts = _play.draw(options.seed, options.count)
    outcomes = _play.play(scripts, "tun" if options.tun else "kernel", options.set)
    if options.group:
        return 1 if group(scripts, outcomes, table) else 0
    judged = {n: _play.judge(lines, outcomes[n], table) for n, (lines, _) in scripts.items()}
    suspects = {n: j for n, j in judged.items() if _play.unclassified(j)}
    if not options.tun:
        suspects = _play.confirm(scripts, suspects, table, options.set)
    counts = collections.Counter(c.id for j in judged.values() for _, c in j if c)
    whole = sum(1 for j in judged.values() if not any(c is None or c.stops for _, c in j))
    print(f"{len(scripts)} scripts, {sum(len(s[0]) for s in scripts.values())} steps; "
          f"{sum(1 for j in judged.values() if not j)} without any difference, {whole} compared to their end; "
          f"{sum(counts.values())} classified differences, {len(suspects)} scripts with an unclassified one")
    if options.all:
        for name, count in counts.most_common():
            print(f"{count:6} {name}")
    for n in list(suspects)[:options.show]:
        lines, v6 = scripts[n]
        first = _play.unclassified(suspects[n])[0]
        print(f"\nseed {options.seed}, script {n}: {_play.describe(first)}")
        if not options.no_shrink and not options.tun:
            lines = _play.shrink(lines, v6, first, table, options.set)
        show_one(lines, v6, table, options)
    return 1 if suspects else 0


if __name__ == "__main__":
    sys.exit(main())
