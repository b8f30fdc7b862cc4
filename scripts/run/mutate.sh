# ./run mutate --seed N | --planted | ...: builds the tests, then scripts/mutate. Sourced by ./run.
need
lock_build
configure release -DRUNNEL_TESTS=ON
unlock_build
case " $* " in
*" --help "* | *" -h "* | *" --list "*) ;;
*) build release dialogue_tests unit_tcp unit_host unit_socket unit_report story_tests simulation_tests matrix_tests ;;
esac
exec python3 "$root/scripts/mutate" "$@"
