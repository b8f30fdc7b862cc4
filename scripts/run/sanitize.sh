# ./run sanitize [CTEST-ARGUMENT...]: builds everything with AddressSanitizer and
# UndefinedBehaviorSanitizer and runs ctest over it. Sourced by ./run.
need pkg.runnel.lint
lock_build
configure asan -DRUNNEL_TESTS=ON
unlock_build
build asan all
exec ctest --test-dir "$root/build/asan" --output-on-failure --no-tests=error -j 2 "$@"
