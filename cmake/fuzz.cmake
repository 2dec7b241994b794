# What fuzzing needs of the build: targets, the replay of their seeds, llhttp to compare with.
# lb_fuzz_target(NAME [DEPS library ...]): tests/fuzz/NAME.cpp defines LLVMFuzzerTestOneInput, tests/fuzz/seeds/NAME/
# holds its seeds. With LB_FUZZ it is a libFuzzer binary; always there is a replay of the seeds in CTest.
function(lb_fuzz_target name)
  cmake_parse_arguments(arg "" "" "DEPS" ${ARGN})
  if(LB_FUZZ)
    add_executable(fuzz_${name} ${name}.cpp)
    target_link_libraries(fuzz_${name} PRIVATE lb_flags ${arg_DEPS} -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} ${name}.cpp replay.cpp)
    target_link_libraries(fuzz_${name} PRIVATE lb_flags ${arg_DEPS})
    add_test(NAME fuzz.${name} COMMAND fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/seeds/${name})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
  endif()
  target_include_directories(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
endfunction()

# lb_llhttp(FOUND): the library llhttp, strict, out of the C source that Debian's node-llhttp ships. FOUND is set to whether it
# is there; what compares with it is left out otherwise.
macro(lb_llhttp found)
  find_path(LLHTTP_SOURCE llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
  find_path(LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH)
  if(LLHTTP_SOURCE AND LLHTTP_INCLUDE)
    # The C compiler that belongs to the C++ one: both must know the same sanitizers.
    if(NOT CMAKE_C_COMPILER AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      string(REGEX REPLACE "clang\\+\\+([^/]*)$" "clang\\1" CMAKE_C_COMPILER ${CMAKE_CXX_COMPILER})
    endif()
    enable_language(C)
    add_library(llhttp STATIC ${LLHTTP_SOURCE}/api.c ${LLHTTP_SOURCE}/http.c ${LLHTTP_SOURCE}/llhttp.c)
    target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE})
    target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
    target_compile_options(llhttp PRIVATE -w)
    set(${found} ON)
  else()
    message(STATUS "llhttp is not here (package node-llhttp): parsers are not compared with it")
    set(${found} OFF)
  endif()
endmacro()

# lb_differences_test(): the list of differences from llhttp is what the document explains, and has a seed for each.
function(lb_differences_test)
  if(LB_FUZZ)
    return()
  endif()
  add_executable(fuzz_differences differences_test.cpp)
  target_link_libraries(fuzz_differences PRIVATE lb_flags worker_exchange llhttp)
  target_include_directories(fuzz_differences PRIVATE ${CMAKE_SOURCE_DIR}/src)
  add_test(NAME fuzz.differences COMMAND fuzz_differences ${CMAKE_CURRENT_SOURCE_DIR}/seeds
           ${CMAKE_SOURCE_DIR}/doc/HTTP1.md)
  set_tests_properties(fuzz.differences PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
