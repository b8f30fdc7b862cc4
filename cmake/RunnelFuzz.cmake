# fuzz/<name>.cpp -> fuzz_<name> (libFuzzer), only under the preset `fuzz`. Seeds of a target stand in
# fuzz/corpus/<name>/; `./run fuzz SECONDS [<name>]` runs them.

if(NOT RUNNEL_FUZZ)
  return()
endif()
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/*.cpp)
foreach(source IN LISTS sources)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" name ${name})
  add_executable(fuzz_${name} ${source})
  target_link_libraries(fuzz_${name} PRIVATE runnel_flags)
  runnel_use(fuzz_${name} analyse sim report socket host tcp udp ip observe wire base)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
endforeach()
