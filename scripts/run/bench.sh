# ./run bench [NAME] [ARGUMENT...]: Google Benchmark's runnel_bench, or one tool: bench/NAME.{py,sh} or
# the program of bench/tools/NAME.cpp. Sourced by ./run.
need nocheck pkg.runnel.bench
programs=$(cd "$root" && ls bench/tools/*.cpp 2>/dev/null | sed 's,.*/,,; s,\.cpp$,,' || true)
scripts=$(cd "$root" && ls bench/*.py bench/*.sh 2>/dev/null | sed 's,.*/,,; s,\.[a-z]*$,,' || true)
# shellcheck disable=SC2086
tools=$(printf '%s\n' $programs $scripts | grep -v '^_' | sort -u | tr '\n' ' ' || true)

case ${1-} in
'' | -*)
    ls "$root"/bench/*.cpp >/dev/null 2>&1 ||
        die "there is no benchmark in bench/*.cpp." "Tools to run by name (./run bench NAME): ${tools:-none}"
    # The library may have been installed since the last configuration.
    lock_build
    grep -qs '^benchmark_DIR:PATH=/' "$root/build/release/CMakeCache.txt" ||
        rm -f "$root/build/release/build.ninja"
    configure release
    unlock_build
    build release runnel_bench
    exec "$root/build/release/bench/runnel_bench" "$@"
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
RUNNEL=$root/build/release/runnel
RUNNEL_BENCH=$root/build/release/bench
export RUNNEL RUNNEL_BENCH
if [ -f "$root/bench/$tool.py" ]; then exec python3 "$root/bench/$tool.py" "$@"; fi
if [ -f "$root/bench/$tool.sh" ]; then exec bash "$root/bench/$tool.sh" "$@"; fi
exec "$RUNNEL_BENCH/$tool" "$@"
