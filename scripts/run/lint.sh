# ./run lint [CHECK...]: scripts/lint/lint.py over the tree; without names every check but `tidy`.
# Sourced by ./run.
case " $* " in
*" tidy "* | *" --tidy "*) need pkg.runnel.lint pkg.runnel.tidy ;;
*) need pkg.runnel.lint ;;
esac
case " $* " in
*" --help "* | *" -h "*) ;;
*)
    lock_build
    configure release -DRUNNEL_TESTS=ON
    configure clang -DRUNNEL_TESTS=ON
    unlock_build
    ;;
esac
exec python3 "$root/scripts/lint/lint.py" "$@"
