# runnel_room(<name> [ENGINE] [NEEDS room...] [LINKS target...])
#
# The static library runnel_<name> from src/runnel/<name>/**.cpp; an INTERFACE library when the room
# has headers only; nothing when the room does not exist yet. A needed room that does not exist yet
# is left out: the link of what really uses it then says what is missing.

set(RUNNEL_ROOMS "")          # rooms that exist, from the ground up
set(RUNNEL_ENGINE_ROOMS "")   # those of them that do no I/O

macro(runnel_room name)
  _runnel_room(${name} ${ARGN})
  if(TARGET runnel_${name})
    list(APPEND RUNNEL_ROOMS ${name})
    if("ENGINE" IN_LIST _runnel_room_args)
      list(APPEND RUNNEL_ENGINE_ROOMS ${name})
    endif()
  endif()
endmacro()

function(_runnel_room name)
  cmake_parse_arguments(arg "ENGINE" "" "NEEDS;LINKS" ${ARGN})
  set(_runnel_room_args ${ARGN} PARENT_SCOPE)
  set(dir ${CMAKE_SOURCE_DIR}/src/runnel/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cpp)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${dir}/*.hpp)
  list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/runnel/cli/main.cpp)

  if(sources)
    add_library(runnel_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(runnel_${name} PRIVATE runnel_flags)
    if(arg_ENGINE)
      target_link_libraries(runnel_${name} PRIVATE runnel_engine_flags)
    endif()
    if(name STREQUAL "cli")
      target_compile_definitions(runnel_cli PRIVATE RUNNEL_VERSION="${PROJECT_VERSION}")
    endif()
  elseif(headers)
    add_library(runnel_${name} INTERFACE)
    set(scope INTERFACE)
  else()
    return()
  endif()

  target_include_directories(runnel_${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
  foreach(need IN LISTS arg_NEEDS)
    if(TARGET runnel_${need})
      target_link_libraries(runnel_${name} ${scope} runnel_${need})
    endif()
  endforeach()
  target_link_libraries(runnel_${name} ${scope} ${arg_LINKS})
endfunction()

# runnel_use(<target> room...): links those of the rooms that exist.
function(runnel_use target)
  foreach(room IN LISTS ARGN)
    if(TARGET runnel_${room})
      target_link_libraries(${target} PRIVATE runnel_${room})
    endif()
  endforeach()
endfunction()

# The program: src/runnel/cli/main.cpp over the room `cli`, as build/<preset>/runnel.
function(runnel_program)
  file(GLOB main CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/runnel/cli/main.cpp)
  if(NOT main)
    return()
  endif()
  add_executable(runnel ${main})
  target_link_libraries(runnel PRIVATE runnel_flags CLI11::CLI11 fmt::fmt)
  target_compile_definitions(runnel PRIVATE RUNNEL_VERSION="${PROJECT_VERSION}")
  runnel_use(runnel cli ${RUNNEL_ROOMS})
  set_target_properties(runnel PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  install(TARGETS runnel RUNTIME DESTINATION bin)
  if(NOT RUNNEL_SANITIZE)
    runnel_manuals()
  endif()
endfunction()

# The manual page and the shells' completions, which the program itself writes from its options: made with
# every full build, so that none can be stale. `./run docs` makes them, `install` puts them in place.
function(runnel_manuals)
  set(share ${CMAKE_BINARY_DIR}/share)
  set(files "")
  foreach(entry "man:man/man1/runnel.1" "completion bash:bash-completion/completions/runnel"
      "completion zsh:zsh/vendor-completions/_runnel"
      "completion fish:fish/vendor_completions.d/runnel.fish")
    string(REGEX MATCH "^([^:]*):(.*)$" matched ${entry})
    string(REPLACE " " ";" arguments ${CMAKE_MATCH_1})
    set(file ${share}/${CMAKE_MATCH_2})
    get_filename_component(directory ${file} DIRECTORY)
    get_filename_component(destination share/${CMAKE_MATCH_2} DIRECTORY)
    file(MAKE_DIRECTORY ${directory})
    add_custom_command(OUTPUT ${file} COMMAND runnel ${arguments} > ${file} DEPENDS runnel VERBATIM)
    install(FILES ${file} DESTINATION ${destination})
    list(APPEND files ${file})
  endforeach()
  add_custom_target(manuals ALL DEPENDS ${files})
endfunction()
