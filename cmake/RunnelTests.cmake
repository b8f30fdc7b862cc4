# The ladder of tests (DESIGN §9), each rung a label: unit, story, matrix, drill, simulation, interop, and
# `long` for what `./run test` leaves out unless asked.
#
#   tests/unit/<room>/**.cpp     -> unit_<room>, one ctest test an executable
#   tests/story/**.cpp           -> story_tests
#   tests/matrix/**.cpp          -> matrix_tests: the engine against the reference model, cell by cell
#   tests/dialogue/**.cpp        -> dialogue_tests: drawn dialogues of one stack, and their digests
#   tests/simulation/**.cpp      -> simulation_tests, one ctest test a TEST()
#   tests/drill/**.pkt           -> `runnel drill tests/drill`
#   tests/interop/*.cpp          -> interop_tests, one ctest test a TEST()
#   tests/{interop,cli,docs,mutation}/*.{py,sh} -> one ctest test a script (see runnel_script_test below)
#   tests/support/               -> shared by all: #include "support/..."
#
# A GoogleTest suite whose name begins with Long (TEST(LongTransfers, ...)) is labelled long.

set(RUNNEL_TESTS AUTO CACHE STRING "ON: build tests, their libraries are required; AUTO: if found; OFF")
set_property(CACHE RUNNEL_TESTS PROPERTY STRINGS AUTO ON OFF)
if(RUNNEL_TESTS STREQUAL "OFF")
  return()
endif()
if(RUNNEL_TESTS STREQUAL "AUTO")
  find_package(GTest QUIET)
  find_package(rapidcheck QUIET)
  if(NOT GTest_FOUND OR NOT rapidcheck_FOUND)
    message(STATUS "Tests are left out: GoogleTest or RapidCheck is missing (./run test gets them)")
    return()
  endif()
else()
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
endif()
enable_testing()

# A crash prints a stack; every report of a sanitizer is a failure.
set(RUNNEL_TEST_ENVIRONMENT
  "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1"
  "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
  "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
find_program(RUNNEL_SYMBOLIZER NAMES llvm-symbolizer-19 llvm-symbolizer)
if(RUNNEL_SYMBOLIZER)
  list(APPEND RUNNEL_TEST_ENVIRONMENT
    "ASAN_SYMBOLIZER_PATH=${RUNNEL_SYMBOLIZER}" "UBSAN_SYMBOLIZER_PATH=${RUNNEL_SYMBOLIZER}")
endif()
# RapidCheck's properties are tried with the same values each time; only the tests named *.chance, which are
# long, leave it to chance (it prints what reproduces a failure).
set(RUNNEL_CHANCE_ENVIRONMENT ${RUNNEL_TEST_ENVIRONMENT})
list(APPEND RUNNEL_TEST_ENVIRONMENT "RC_PARAMS=seed=1")
if(TARGET runnel)
  list(APPEND RUNNEL_TEST_ENVIRONMENT "RUNNEL=$<TARGET_FILE:runnel>")
endif()

# tests/support: headers, and a library when it has sources. It may use anything; an executable that
# does not call the parts which need a host does not pull them in.
add_library(runnel_test_base INTERFACE)
target_include_directories(runnel_test_base INTERFACE ${CMAKE_SOURCE_DIR}/tests)
target_compile_definitions(runnel_test_base INTERFACE RUNNEL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(runnel_test_base INTERFACE
  runnel_flags GTest::gtest rapidcheck Boost::headers fmt::fmt)
file(GLOB_RECURSE support_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.cpp)
if(support_sources)
  add_library(runnel_test_support STATIC ${support_sources})
  target_link_libraries(runnel_test_support PUBLIC runnel_test_base)
else()
  add_library(runnel_test_support INTERFACE)
  target_link_libraries(runnel_test_support INTERFACE runnel_test_base)
endif()

# runnel_test_executable(<target> room...): sources in the list `sources` of the caller.
function(runnel_test_executable target)
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE runnel_test_support)
  runnel_use(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE GTest::gtest_main)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()

# One ctest test for the whole executable, and a second one for its Long suites if it has any.
function(runnel_whole_test target label timeout)
  add_test(NAME ${target} COMMAND ${target} --gtest_brief=1 --gtest_filter=-Long*.*)
  set_tests_properties(${target} PROPERTIES LABELS ${label} TIMEOUT ${timeout}
    ENVIRONMENT "${RUNNEL_TEST_ENVIRONMENT}")
  foreach(source IN LISTS sources)
    file(STRINGS ${source} properties REGEX "^ *RC_GTEST_|rc::check")
    if(properties AND NOT TEST ${target}.chance)
      add_test(NAME ${target}.chance COMMAND ${target} --gtest_brief=1 --gtest_filter=-Long*.*)
      set_tests_properties(${target}.chance PROPERTIES LABELS "${label};long" TIMEOUT ${timeout}
        ENVIRONMENT "${RUNNEL_CHANCE_ENVIRONMENT}")
    endif()
    file(STRINGS ${source} suites REGEX "^ *(TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_[A-Z_]*)\\(Long")
    if(suites AND NOT TEST ${target}.long)
      add_test(NAME ${target}.long COMMAND ${target} --gtest_brief=1 --gtest_filter=Long*.*)
      set_tests_properties(${target}.long PROPERTIES LABELS "${label};long" TIMEOUT 1800
        ENVIRONMENT "${RUNNEL_TEST_ENVIRONMENT}")
    endif()
  endforeach()
endfunction()

# One ctest test a TEST(): worth its process only where a single one takes long. Not CMake's
# gtest_discover_tests, which cannot give a test two labels: ctest asks the executable for its list.
function(runnel_discovered_tests target label timeout)
  string(REPLACE ";" "|" environment "${RUNNEL_TEST_ENVIRONMENT}")
  configure_file(${CMAKE_SOURCE_DIR}/cmake/DiscoverTests.cmake.in
    ${CMAKE_BINARY_DIR}/tests/${target}.cmake.in @ONLY)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/tests/${target}.cmake
    INPUT ${CMAKE_BINARY_DIR}/tests/${target}.cmake.in)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES
    ${CMAKE_BINARY_DIR}/tests/${target}.cmake)
endfunction()

# GoogleTest's and RapidCheck's templates cost a third less to compile so, and what a unit or story test
# itself does is little; the rooms under test stay at -O2.
set(RUNNEL_QUICK_COMPILE $<$<CONFIG:Release>:-O1>)

foreach(room IN LISTS RUNNEL_ROOMS)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${room}/*.cpp)
  if(sources)
    runnel_test_executable(unit_${room} ${room})
    target_compile_options(unit_${room} PRIVATE ${RUNNEL_QUICK_COMPILE})
    runnel_whole_test(unit_${room} unit 300)
  endif()
endforeach()

file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/story/*.cpp)
if(sources)
  runnel_test_executable(story_tests sim socket host)
  target_compile_options(story_tests PRIVATE ${RUNNEL_QUICK_COMPILE})
  runnel_whole_test(story_tests story 300)
endif()

file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/dialogue/*.cpp)
if(sources)
  runnel_test_executable(dialogue_tests tcp)
  runnel_whole_test(dialogue_tests story 300)
endif()

file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/matrix/*.cpp)
if(sources)
  runnel_test_executable(matrix_tests tcp model)
  runnel_whole_test(matrix_tests matrix 600)
endif()

file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/simulation/*.cpp)
if(sources)
  runnel_test_executable(simulation_tests sim socket report model)
  runnel_discovered_tests(simulation_tests simulation 600)
endif()

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/interop/*.cpp)
if(sources)
  runnel_test_executable(interop_tests asio link analyse report socket host)
  runnel_discovered_tests(interop_tests interop 300)
endif()

# No test itself: what tests/differential/*.py and scripts/differential play scripts with.
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/differential/*.cpp)
if(sources)
  add_executable(differential_runner ${sources})
  target_link_libraries(differential_runner PRIVATE runnel_test_base)
  runnel_use(differential_runner link socket host)
  set_target_properties(differential_runner PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()

if(NOT TARGET runnel)
  return()
endif()

file(GLOB_RECURSE scripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/drill/*.pkt)
if(scripts)
  add_test(NAME drill COMMAND runnel drill ${CMAKE_SOURCE_DIR}/tests/drill)
  set_tests_properties(drill PROPERTIES LABELS drill TIMEOUT 300
    ENVIRONMENT "${RUNNEL_TEST_ENVIRONMENT}")
endif()

# Drawn scenarios of the simulated world, all checkers watching: 100,000 of them, or 2,000 where each instruction
# is watched too. In halves, which two processors share.
set(seeds 1000)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT RUNNEL_SANITIZE)
  set(seeds 50000)
endif()
math(EXPR second "${seeds} + 1")
foreach(from 1 ${second})
  add_test(NAME sim.seeds_from_${from}
    COMMAND runnel sim --seeds ${seeds} --from ${from} --jobs 1)
  set_tests_properties(sim.seeds_from_${from} PROPERTIES LABELS simulation TIMEOUT 1800
    ENVIRONMENT "${RUNNEL_TEST_ENVIRONMENT}")
endforeach()

# A script is a test when it begins with #! and its name does not begin with `_` (helpers). It finds
# the program in $RUNNEL, and exits 0 (passed), 77 (skipped, having said why) or anything else. Its
# head may hold:   # runnel-test: timeout=600 labels=long,slow serial
function(runnel_script_test path label)
  get_filename_component(name ${path} NAME_WE)
  file(STRINGS ${path} first_line LIMIT_COUNT 1)
  if(name MATCHES "^_" OR NOT first_line MATCHES "^#!")
    return()
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  set(timeout 300)
  set(labels ${label})
  set(serial FALSE)
  file(STRINGS ${path} settings REGEX "^# runnel-test:" LIMIT_COUNT 1)
  if(settings MATCHES "timeout=([0-9]+)")
    set(timeout ${CMAKE_MATCH_1})
  endif()
  if(settings MATCHES "labels=([a-z,]+)")
    string(REPLACE "," ";" extra ${CMAKE_MATCH_1})
    list(APPEND labels ${extra})
  endif()
  if(settings MATCHES " serial")
    set(serial TRUE)
  endif()
  if(path MATCHES "\\.py$")
    set(command python3 ${path})
  else()
    set(command bash ${path})
  endif()
  add_test(NAME ${label}.${name} COMMAND ${command})
  set_tests_properties(${label}.${name} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout}
    SKIP_RETURN_CODE 77 RUN_SERIAL ${serial} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/tests
    ENVIRONMENT "${RUNNEL_TEST_ENVIRONMENT};RUNNEL_SOURCE=${CMAKE_SOURCE_DIR}")
endfunction()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
foreach(kind interop cli docs mutation differential)
  file(GLOB scripts CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/tests/${kind}/*.py ${CMAKE_SOURCE_DIR}/tests/${kind}/*.sh)
  foreach(script IN LISTS scripts)
    runnel_script_test(${script} ${kind})
  endforeach()
endforeach()
