# configure PRESET [CMAKE-OPTION...] and build PRESET TARGET...: quiet unless something is to be done
# (progress on a terminal) or fails (the output). Sourced by ./run.

# One build at a time in this tree; a second ./run waits for the first.
lock_build() {
    mkdir -p "$root/build"
    command -v flock >/dev/null || return 0
    exec 9>"$root/build/.lock"
    flock -n 9 || { say "run: another ./run is building here; waiting for it ..."; flock 9; }
}
unlock_build() { exec 9>&-; }

configure() {
    preset=$1
    shift
    [ $# -gt 0 ] || [ ! -f "$root/build/$preset/build.ninja" ] || return 0
    # An option that the cache already holds needs no new configuration.
    changed=
    for option; do
        setting=${option#-D}
        grep -qs "^${setting%%=*}:[A-Z]*=${setting#*=}\$" "$root/build/$preset/CMakeCache.txt" || changed=1
    done
    [ -n "$changed" ] || [ ! -f "$root/build/$preset/build.ninja" ] || return 0
    mkdir -p "$root/build"
    log=$root/build/configure-$preset.log
    if ! (cd "$root" && cmake --preset "$preset" "$@") >"$log" 2>&1; then
        cat "$log" >&2
        die "CMake could not configure the preset '$preset' (above; also in $log)." \
            "If the tree was moved or copied, or a compiler changed: rm -rf $root/build/$preset"
    fi
}

# As many jobs as processors, but no more than memory allows: the Beast sources take 1 GB each.
jobs() {
    processors=$(nproc 2>/dev/null || echo 2)
    memory=$(awk '$1 == "MemAvailable:" { print int($2 / 1200000) }' /proc/meminfo 2>/dev/null || echo 2)
    [ "${memory:-2}" -ge 1 ] || memory=1
    if [ "$processors" -lt "$memory" ]; then echo "$processors"; else echo "$memory"; fi
}

build() {
    preset=$1
    shift
    dir=$root/build/$preset
    lock_build
    configure "$preset"
    log=$root/build/build-$preset.log
    # A dry run is as quick as a build with nothing to do, and tells the two apart.
    if plan=$(ninja -C "$dir" -n "$@" 2>&1); then
        case $plan in *'no work to do'*) unlock_build; return 0 ;; esac
        say "run: building $* in build/$preset ..."
    fi
    if [ -t 2 ]; then
        ninja -C "$dir" -j "$(jobs)" "$@" >&2 || build_failed "above"
    elif ! ninja -C "$dir" -j "$(jobs)" "$@" >"$log" 2>&1; then
        awk '/^FAILED:/ { printing = 1 } /^\[[0-9]+\/[0-9]+\]/ { printing = 0 } printing' "$log" |
            tail -n 80 >&2
        [ "$(grep -c '^FAILED:' "$log")" != 0 ] || tail -n 20 "$log" >&2
        build_failed "above; the whole output: $log"
    fi
    unlock_build
}

build_failed() {
    die "the build did not succeed ($1)." \
        "If it ran out of memory: ninja -C $dir -j1 $*" \
        "If the build directory is old or damaged: rm -rf $dir"
}
