# ./run fuzz SECONDS [TARGET]: each libFuzzer target of fuzz/ (or one) for so many seconds. What it
# learns is kept in build/fuzz/corpus, seeds come from fuzz/corpus and fuzz/regressions, and a finding
# stays in build/fuzz/findings. Sourced by ./run.
case ${1-} in
'' | *[!0-9]*) die "how long? ./run fuzz SECONDS [TARGET], e.g. ./run fuzz 60" ;;
esac
seconds=$1
targets=$(cd "$root" && ls fuzz/*.cpp 2>/dev/null |
    sed 's,.*/,,; s,\.cpp$,,; s,^fuzz_,,' | tr '\n' ' ' || true)
[ -n "$targets" ] || die "there is no fuzz target in fuzz/*.cpp."
if [ -n "${2-}" ]; then
    case " $targets" in
    *" ${2#fuzz_} "*) targets=${2#fuzz_} ;;
    *) die "there is no fuzz target named '$2'." "These exist: $targets" ;;
    esac
fi
need nocheck pkg.runnel.fuzz
names=
for target in $targets; do names="$names fuzz_$target"; done
# shellcheck disable=SC2086
build fuzz $names
ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer-19 || true)
export ASAN_SYMBOLIZER_PATH
findings=$root/build/fuzz/findings
mkdir -p "$findings"
for target in $targets; do
    mkdir -p "$root/build/fuzz/corpus/$target"
    set -- "$root/build/fuzz/corpus/$target"
    for seeds in corpus regressions; do
        [ ! -d "$root/fuzz/$seeds/$target" ] || set -- "$@" "$root/fuzz/$seeds/$target"
    done
    say "run: fuzz_$target for $seconds s ..."
    if ! "$root/build/fuzz/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$findings/$target-" "$@" \
        >"$findings/$target.log" 2>&1; then
        tail -n 60 "$findings/$target.log" >&2
        die "fuzz_$target found something (above; whole log: $findings/$target.log)." \
            "To see it again: build/fuzz/fuzz/fuzz_$target $findings/$target-<name of the artifact>"
    fi
    awk -v target="$target" '
        /stat::number_of_executed_units/ { runs = $2 }
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
        END { printf "fuzz_%s: %d runs, coverage %d, nothing found\n", target, runs, cov }
    ' "$findings/$target.log"
done
