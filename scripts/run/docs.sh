# ./run docs: runs the generators scripts/docs/*.py (they write docs/), and makes manual pages of
# docs/man/*.scd in build/docs/man. Sourced by ./run.
need nocheck pkg.runnel.docs
generators=$(ls "$root"/scripts/docs/*.py 2>/dev/null || true)
pages=$(ls "$root"/docs/man/*.scd 2>/dev/null || true)
[ -n "$generators$pages" ] ||
    die "there is nothing to generate: no scripts/docs/*.py, and no docs/man/*.scd."
if [ -n "$generators" ]; then
    build release runnel
    RUNNEL=$root/build/release/runnel
    export RUNNEL
    for generator in $generators; do
        case ${generator##*/} in _*) continue ;; esac
        say "run: ${generator##*/} ..."
        (cd "$root" && python3 "$generator") || die "$generator did not succeed (above)."
    done
fi
mkdir -p "$root/build/docs/man"
for page in $pages; do
    name=$(basename "$page" .scd)
    scdoc <"$page" >"$root/build/docs/man/$name" || die "scdoc does not accept $page (above)."
    printf 'build/docs/man/%s\n' "$name"
done
