# millrace_layer(NAME SOURCES ... DEPENDS ...): one static library a layer, named millrace_NAME.
function(millrace_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(millrace_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(millrace_${name} PUBLIC millrace_flags ${ARG_DEPENDS})
endfunction()

# millrace_test(NAME SOURCES ... DEPENDS ...): one GoogleTest program, its cases discovered by ctest.
function(millrace_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE millrace_flags ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300)
endfunction()
