# ./run docs: runs the generators scripts/docs/*.py (they write docs/), and makes the manual page and the
# shells' completions, which come from the program's own options, in build/release/share. Sourced by ./run.
need nocheck pkg.runnel.docs
build release runnel manuals
RUNNEL=$root/build/release/runnel
export RUNNEL
for generator in "$root"/scripts/docs/*.py; do
    case ${generator##*/} in _*) continue ;; esac
    say "run: ${generator##*/} ..."
    (cd "$root" && python3 "$generator") || die "$generator did not succeed (above)."
done
(cd "$root" && find build/release/share -type f | sort)
