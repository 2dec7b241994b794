# lb_library(NAME [DEPS library ...]): one static library out of the .cpp files of the current folder.
# A folder without .cpp files becomes an interface library. Includes are written from src/ on.
function(lb_library name)
  cmake_parse_arguments(arg "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${name} PRIVATE lb_flags PUBLIC ${arg_DEPS})
    lb_precompiled(${name} library)
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
  lb_precompiled(unit_${name} test)
  add_test(NAME unit.${name} COMMAND unit_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(unit.${name} PROPERTIES TIMEOUT 120 LABELS "unit;${arg_LABELS}")
endfunction()
