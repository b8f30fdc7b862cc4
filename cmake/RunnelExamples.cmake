# examples/NAME.cpp -> build/<preset>/examples/example_NAME, part of `all`: programs that embed Runnel.
# Those that need no privilege are tests, too.

file(GLOB examples CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/examples/*.cpp)
if(NOT TARGET runnel_asio)
  return()
endif()
foreach(source IN LISTS examples)
  get_filename_component(name ${source} NAME_WE)
  add_executable(example_${name} ${source})
  target_link_libraries(example_${name} PRIVATE runnel_flags)
  runnel_use(example_${name} asio link socket host)
  set_target_properties(example_${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/examples)
endforeach()
if(TARGET example_tls)
  target_link_libraries(example_tls PRIVATE OpenSSL::SSL)
endif()
foreach(name virtual_time tls)
  if(TARGET example_${name})
    add_test(NAME example.${name} COMMAND example_${name})
    set_tests_properties(example.${name} PROPERTIES LABELS unit TIMEOUT 60
      ENVIRONMENT "${RUNNEL_TEST_ENVIRONMENT}")
  endif()
endforeach()
