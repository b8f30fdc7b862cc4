# need PROFILE...: sees that the packages of debian/control are installed that are wanted under these
# build profiles (see there). Sourced by ./run; POSIX shell, for a machine with nothing else.

say() { printf '%s\n' "$*" >&2; }

die() {
    printf 'run: %s\n' "$1" >&2
    shift
    for line; do printf '     %s\n' "$line" >&2; done
    exit 1
}

# One line a dependency: its alternatives, each name or name:operator:version, separated by blanks.
wanted_packages() {
    awk -v profiles="$*" '
        function holds(restriction,   n, list, i, k, terms, m, term, ok) {
            if (restriction !~ /</) return 1
            n = split(restriction, list, "<")
            for (i = 2; i <= n; i++) {
                sub(/>.*/, "", list[i])
                m = split(list[i], terms, " ")
                ok = 1
                for (k = 1; k <= m; k++) {
                    term = terms[k]
                    if (term ~ /^!/ ? substr(term, 2) in active : !(term in active)) ok = 0
                }
                if (ok) return 1
            }
            return 0
        }
        function emit(text,   n, deps, i, m, alternatives, k, name, version, line) {
            n = split(text, deps, ",")
            for (i = 1; i <= n; i++) {
                if (deps[i] ~ /^[ \t]*$/ || deps[i] ~ /debhelper|\$\{/ || !holds(deps[i])) continue
                sub(/<.*/, "", deps[i])
                m = split(deps[i], alternatives, "|")
                line = ""
                for (k = 1; k <= m; k++) {
                    name = alternatives[k]
                    version = ""
                    if (match(name, /\([^)]*\)/)) {
                        version = substr(name, RSTART + 1, RLENGTH - 2)
                        sub(/^ */, "", version)
                        sub(/ +/, "/", version)
                        version = "/" version
                        sub(/\(.*/, "", name)
                    }
                    gsub(/[ \t]/, "", name)
                    line = line (k > 1 ? " " : "") name version
                }
                print line
            }
        }
        BEGIN { count = split(profiles, list, " "); for (i = 1; i <= count; i++) active[list[i]] = 1 }
        /^#/ { next }
        /^[^ \t]/ {
            emit(text); text = ""
            field = $0; sub(/:.*/, "", field)
            reading = field == "Build-Depends" || field == "Recommends"
            if (reading) { sub(/^[^:]*:/, ""); text = $0 }
            next
        }
        reading { text = text " " $0 }
        END { emit(text) }
    ' "$root/debian/control"
}

# The package of one line that is installed, or nothing.
installed_of() {
    local alternative name version operator
    for alternative; do
        name=${alternative%%/*}
        version=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$name" 2>/dev/null) || continue
        case $version in installed\ *) version=${version#installed } ;; *) continue ;; esac
        case $alternative in
        */*/*)
            operator=${alternative#*/}
            dpkg --compare-versions "$version" "${operator%%/*}" "${operator#*/}" || continue
            ;;
        esac
        printf '%s\n' "$name"
        return 0
    done
    return 1
}

# The first package of one line that apt knows in a sufficient version; if none, the first.
candidate_of() {
    local alternative name version operator
    for alternative; do
        name=${alternative%%/*}
        version=$(apt-cache policy "$name" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')
        case $version in '' | '(none)') continue ;; esac
        case $alternative in
        */*/*)
            operator=${alternative#*/}
            dpkg --compare-versions "$version" "${operator%%/*}" "${operator#*/}" || continue
            ;;
        esac
        printf '%s\n' "$name"
        return 0
    done
    printf '%s\n' "${1%%/*}"
}

need() {
    local stamp state profiles found missing name line packages
    [ -z "${RUNNEL_NO_INSTALL-}" ] || return 0
    # A stamp holds what was found last time: one dpkg-query shows whether it is still there.
    stamp=$root/build/.packages.$(printf '%s' "$*" | tr ' ' '+')
    if [ -f "$stamp" ] && [ "$stamp" -nt "$root/debian/control" ]; then
        # shellcheck disable=SC2046
        set -- $(cat "$stamp")
        state=$(dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | sort -u) || state=
        [ "$state" != installed ] || return 0
        profiles=${stamp##*/.packages.}
        # shellcheck disable=SC2046
        set -- $(printf '%s' "$profiles" | tr '+' ' ')
        rm -f "$stamp"
    fi
    if ! command -v dpkg-query >/dev/null; then
        say "run: this is not Debian or Ubuntu, so packages are yours to install (debian/control lists them)."
        return 0
    fi

    found=''
    missing=''
    while IFS= read -r line; do
        # shellcheck disable=SC2086
        if name=$(installed_of $line); then found="$found $name"; else missing="$missing$line
"; fi
    done <<EOF
$(wanted_packages "$@")
EOF
    if [ -n "$missing" ]; then
        install_packages "$missing"
        found="$found $packages"
    fi
    mkdir -p "$root/build"
    printf '%s\n' "$found" >"$stamp"
}

# install_packages LINES: sets `packages` to what it installed.
install_packages() {
    local root_by log lines
    root_by=
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            root_by=sudo
        else
            packages=$(names_of "$1")
            die "packages are missing, and installing them takes root (you are $(id -un), without sudo):" \
                "   $packages" "Have root do this, then call ./run again:" \
                "   apt-get update && apt-get install -y --no-install-recommends $packages"
        fi
    fi
    mkdir -p "$root/build"
    log=$root/build/apt.log
    if [ -z "$root_by" ]; then set -- "$1" env; else set -- "$1" "$root_by" env; fi
    say "run: asking apt for its lists ..."
    lines=$1
    shift
    "$@" DEBIAN_FRONTEND=noninteractive apt-get update >"$log" 2>&1 ||
        say "run: apt-get update complained ($log); going on with the lists that are here."
    packages=$(names_of "$lines")
    say "run: installing $packages ..."
    # shellcheck disable=SC2086
    if ! "$@" DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        $packages >>"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "apt-get could not install what Runnel needs (its whole output: $log)." \
            "If a package was not found: Runnel is built for Debian 12 and Ubuntu 24.04 or later." \
            "If the network was not reached: check it, or /etc/apt/sources.list, and call ./run again."
    fi
}

names_of() {
    local line
    printf '%s' "$1" | while IFS= read -r line; do
        # shellcheck disable=SC2086
        candidate_of $line
    done | sort -u | tr '\n' ' ' | sed 's/ $//'
}
