# ./run test [--long] [CTEST-ARGUMENT...]: builds everything and runs ctest; the tests labelled `long`
# only with --long. Sourced by ./run.
if [ "${1-}" = --long ]; then
    shift
else
    set -- --label-exclude '^long$' "$@"
fi
need
lock_build
configure release -DRUNNEL_TESTS=ON
unlock_build
build release all
exec ctest --test-dir "$root/build/release" --output-on-failure --no-tests=error -j 2 "$@"
