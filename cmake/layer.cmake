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

# millrace_fuzzer(NAME SOURCES ... DEPENDS ...): one libFuzzer program, built by the target `fuzzers`. The test
# Fuzz.NAME replays the inputs in fuzz/corpus/NAME, at least one; to search for new ones, run the program on that folder.
function(millrace_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE millrace_flags ${ARG_DEPENDS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name})
  file(GLOB corpus CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/fuzz/corpus/${name}/*)
  if(NOT corpus)
    message(FATAL_ERROR "fuzz/corpus/${name} holds no input to replay")
  endif()
  add_test(NAME Fuzz.${name} COMMAND ${name} ${corpus})
endfunction()
