# ./run bench [NAME] [ARGUMENT...]: one table of every figure (bench/_table.py), or one tool:
# bench/NAME.{py,sh}, the program of bench/tools/NAME.cpp, or `micro` for Google Benchmark's own output.
# Sourced by ./run.
need nocheck pkg.runnel.bench
programs=$(cd "$root" && ls bench/tools/*.cpp 2>/dev/null | sed 's,.*/,,; s,\.cpp$,,' || true)
scripts=$(cd "$root" && ls bench/*.py bench/*.sh 2>/dev/null | sed 's,.*/,,; s,\.[a-z]*$,,' || true)
# shellcheck disable=SC2086
tools=$(printf '%s\n' $programs $scripts | grep -v '^_' | sort -u | tr '\n' ' ' || true)

RUNNEL=$root/build/release/runnel
RUNNEL_BENCH=$root/build/release/bench
export RUNNEL RUNNEL_BENCH

case ${1-} in
'' | -* | micro)
    # The library may have been installed since the last configuration.
    lock_build
    { grep -qs '^benchmark_DIR:PATH=/' "$root/build/release/CMakeCache.txt" &&
        grep -qs '^RUNNEL_LWIP:FILEPATH=/' "$root/build/release/CMakeCache.txt"; } ||
        rm -f "$root/build/release/build.ninja"
    configure release
    unlock_build
    # shellcheck disable=SC2086
    build release runnel_bench $programs
    if [ "${1-}" = micro ]; then
        shift
        exec "$RUNNEL_BENCH/runnel_bench" "$@"
    fi
    exec python3 "$root/bench/_table.py" "$@"
    ;;
esac

tool=$1
shift
case " $tools " in
*" $tool "*) ;;
*) die "there is no benchmark named '$tool'." "These exist: ${tools:-none}" ;;
esac
# A script of bench/ may use the program itself and any of the tools.
# shellcheck disable=SC2086
build release runnel $programs
if [ -f "$root/bench/$tool.py" ]; then exec python3 "$root/bench/$tool.py" "$@"; fi
if [ -f "$root/bench/$tool.sh" ]; then exec bash "$root/bench/$tool.sh" "$@"; fi
exec "$RUNNEL_BENCH/$tool" "$@"
