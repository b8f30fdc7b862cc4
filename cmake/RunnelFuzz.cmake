# fuzz/<name>.cpp -> fuzz_<name> (libFuzzer), under the preset `fuzz`. Seeds of a target stand in
# fuzz/corpus/<name>/, inputs that once found something in fuzz/regressions/<name>/;
# `./run fuzz SECONDS [<name>]` runs them. Under every other preset the same sources become one
# test, fuzz_replay, which runs all of those inputs.

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/*.cpp)
if(NOT sources)
  return()
endif()
set(rooms drill analyse sim report socket host tcp udp ip observe wire base)
set(rooms_of_http cli)  # the command line's own parsers

if(RUNNEL_FUZZ)
  target_compile_options(runnel_flags INTERFACE
    -fsanitize-coverage-ignorelist=${CMAKE_SOURCE_DIR}/fuzz/coverage_ignore.txt)
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" name ${name})
    file(GLOB mutator CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/support/${name}_mutator.cpp)
    add_executable(fuzz_${name} ${source} ${mutator} ${CMAKE_SOURCE_DIR}/fuzz/support/target.cpp)
    target_include_directories(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(fuzz_${name} PRIVATE runnel_flags)
    runnel_use(fuzz_${name} ${rooms_of_${name}} ${rooms})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(fuzz_${name} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  endforeach()
elseif(TARGET runnel_test_base)
  file(GLOB support CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/support/*.cpp)
  add_executable(fuzz_replay ${sources} ${support})
  target_include_directories(fuzz_replay PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(fuzz_replay PRIVATE
    RUNNEL_FUZZ_REPLAY RUNNEL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_compile_options(fuzz_replay PRIVATE ${RUNNEL_QUICK_COMPILE})
  target_link_libraries(fuzz_replay PRIVATE runnel_flags)
  runnel_use(fuzz_replay ${rooms_of_http} ${rooms})
  set_target_properties(fuzz_replay PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME fuzz_replay COMMAND fuzz_replay)
  set_tests_properties(fuzz_replay PROPERTIES LABELS unit TIMEOUT 300
    ENVIRONMENT "${RUNNEL_TEST_ENVIRONMENT}")
endif()
