# configure PRESET [CMAKE-OPTION...] and build PRESET TARGET...: quiet unless something is to be done
# (progress on a terminal) or fails (the output). Sourced by ./run; `local` is beyond POSIX, but dash, bash and busybox have it.

writable() { mkdir -p "$root/build" 2>/dev/null && [ -w "$root/build" ]; }

# One build at a time in this tree; a second ./run waits for the first.
lock_build() {
    mkdir -p "$root/build"
    command -v flock >/dev/null || return 0
    exec 9>"$root/build/.lock"
    flock -n 9 || { say "run: another ./run is building here; waiting for it ..."; flock 9; }
}
unlock_build() { exec 9>&-; }

configure() {
    local preset changed option setting log
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
    local processors memory
    processors=$(nproc 2>/dev/null || echo 2)
    memory=$(awk '$1 == "MemAvailable:" { print int($2 / 1200000) }' /proc/meminfo 2>/dev/null || echo 2)
    [ "${memory:-2}" -ge 1 ] || memory=1
    if [ "$processors" -lt "$memory" ]; then echo "$processors"; else echo "$memory"; fi
}

# Reads ninja's output up to `status:N` and returns N: a progress line on a terminal, else one line if
# there is anything to do at all.
show_progress() {
    local began columns line
    began=
    columns=$(tput cols 2>/dev/null || echo 80)
    while IFS= read -r line; do
        case $line in
        status:*)
            [ -z "$began" ] || [ ! -t 2 ] || printf '\r\033[K' >&2
            return "${line#status:}"
            ;;
        '[0/'*) ;;
        '['[0-9]*/*']'*)
            [ -n "$began" ] || [ -t 2 ] || say "run: building $targets in build/$preset ..."
            began=1
            [ ! -t 2 ] || printf '\r\033[K%.*s' "$((columns - 1))" "$line" >&2
            ;;
        esac
        printf '%s\n' "$line" >>"$log"
    done
    return 1
}

build() {
    local preset targets dir log
    preset=$1
    shift
    targets=$*
    dir=$root/build/$preset
    lock_build
    configure "$preset"
    log=$root/build/build-$preset.log
    : >"$log"
    if ! { ninja -C "$dir" -j "$(jobs)" "$@" 2>&1 && echo status:0 || echo status:$?; } | show_progress; then
        awk '/^FAILED:/ { printing = 1 } /^\[[0-9]+\/[0-9]+\]/ { printing = 0 } printing' "$log" |
            tail -n 80 >&2
        grep -q '^FAILED:' "$log" || tail -n 20 "$log" >&2
        die "the build did not succeed (above; the whole output: $log)." \
            "If it ran out of memory: ninja -C $dir -j1 $targets" \
            "If the build directory is old or damaged: rm -rf $dir"
    fi
    unlock_build
}
