# lb_library(NAME [DEPS library ...]): one static library out of the .cpp files of the current folder.
# A folder without .cpp files becomes an interface library. Includes are written from src/ on.
function(lb_library name)
  cmake_parse_arguments(arg "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${name} PRIVATE lb_flags PUBLIC ${arg_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${name} INTERFACE ${arg_DEPS})
  endif()
endfunction()

# lb_unit_test(NAME [DEPS library ...] [LABELS label ...]): one GoogleTest executable out of the .cpp files of the
# current folder. One CTest entry for each: a whole folder runs in about a second, and the binary prints each test.
function(lb_unit_test name)
  cmake_parse_arguments(arg "" "" "DEPS;LABELS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_executable(unit_${name} ${sources})
  target_include_directories(unit_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(unit_${name} PRIVATE lb_flags ${arg_DEPS} GTest::gtest_main GTest::gmock)
  add_test(NAME unit.${name} COMMAND unit_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(unit.${name} PROPERTIES TIMEOUT 120 LABELS "unit;${arg_LABELS}")
endfunction()

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
