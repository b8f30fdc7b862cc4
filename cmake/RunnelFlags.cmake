# Compiler flags that every target of the house shares, and ccache as launcher when it is there.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug" FORCE)
endif()
# No NDEBUG: assertions of invariants stay on in release.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g -D_GLIBCXX_ASSERTIONS")

# Warnings are errors with the two compilers Runnel is written for; with any other they stay
# warnings, so that a newer compiler's new warning does not stop a user's build.
if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^12\\.")
   OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^19\\."))
  set(_runnel_werror_default ON)
else()
  set(_runnel_werror_default OFF)
endif()
option(RUNNEL_WERROR "Warnings are errors" ${_runnel_werror_default})

set(RUNNEL_SANITIZE "" CACHE STRING "Value of -fsanitize=, e.g. address,undefined")
option(RUNNEL_COVERAGE "Instrument for gcov" OFF)
option(RUNNEL_TRACE "Record decisions; off only to measure what that costs" ON)
option(RUNNEL_FUZZ "Build the libFuzzer targets in fuzz/ (clang only)" OFF)

# What a target of ours needs; third-party targets never see it.
add_library(runnel_flags INTERFACE)
target_include_directories(runnel_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(runnel_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
  $<$<BOOL:${RUNNEL_WERROR}>:-Werror>)

if(NOT RUNNEL_TRACE)
  target_compile_definitions(runnel_flags INTERFACE RUNNEL_NO_TRACE)
endif()

# The engine: no RTTI (and so no vptr check of UBSan, which needs it wherever an object comes from).
add_library(runnel_engine_flags INTERFACE)
target_compile_options(runnel_engine_flags INTERFACE -fno-rtti)

if(RUNNEL_SANITIZE)
  target_compile_options(runnel_flags INTERFACE
    -fsanitize=${RUNNEL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(runnel_flags INTERFACE -fsanitize=${RUNNEL_SANITIZE})
  if(RUNNEL_SANITIZE MATCHES "undefined")
    target_compile_options(runnel_flags INTERFACE -fno-sanitize=vptr)
  endif()
endif()
if(RUNNEL_COVERAGE)
  target_compile_options(runnel_flags INTERFACE --coverage)
  target_link_options(runnel_flags INTERFACE --coverage)
endif()
if(RUNNEL_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "Fuzzing needs clang's libFuzzer: use `cmake --preset fuzz`.")
  endif()
  target_compile_options(runnel_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(RUNNEL_CCACHE ccache)
if(RUNNEL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${RUNNEL_CCACHE})
endif()
