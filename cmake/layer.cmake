# millrace_layer(NAME SOURCES ... DEPENDS ...): one static library a layer, named millrace_NAME; installed, Millrace::NAME.
# How this tree compiles is no business of a program that uses an installed one: the flags stay here.
function(millrace_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(millrace_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(millrace_${name} PUBLIC $<BUILD_INTERFACE:millrace_flags> ${ARG_DEPENDS})
  target_include_directories(millrace_${name} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/millrace>)
  target_compile_features(millrace_${name} INTERFACE cxx_std_23)
  set_target_properties(millrace_${name} PROPERTIES EXPORT_NAME ${name})
endfunction()

# millrace_test(NAME [SHORT] SOURCES ... DEPENDS ...): one GoogleTest program, its cases discovered by ctest. SHORT ones have
# that label, and the target `short_tests` builds them: what CI repeats under sanitizers. What is tested is compiled as its
# preset says; the tests themselves without optimization, which would take longer than it saves them.
add_custom_target(short_tests)
function(millrace_test name)
  cmake_parse_arguments(ARG "SHORT" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE millrace_flags ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  target_compile_options(${name} PRIVATE -O0)
  set(label)
  if(ARG_SHORT)
    set(label LABELS short)
    add_dependencies(short_tests ${name})
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300 ${label})
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
  set_tests_properties(Fuzz.${name} PROPERTIES LABELS short)
endfunction()
