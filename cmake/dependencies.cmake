# Every library Millrace uses, found once. Only these names are linked anywhere else:
#
#   fmt::fmt  spdlog::spdlog  CLI11::CLI11  nlohmann_json::nlohmann_json     (CMake packages)
#   PkgConfig::uring  PkgConfig::xxhash  PkgConfig::isal  PkgConfig::lz4  PkgConfig::zstd  PkgConfig::tomlplusplus
#   flatbuffers          headers only; the compiler is the program flatbuffers::flatc
#   Threads::Threads
#   GTest::gtest  GTest::gmock  GTest::gtest_main       only with BUILD_TESTING
#   benchmark::benchmark                                only with MILLRACE_BENCH
#
# The versions asked for are Debian 12's, the oldest that CI builds with; Debian 13's are newer.
# Everything here is in packages.txt. The libraries without a usable CMake package in both releases
# are found through pkg-config.
include(${CMAKE_CURRENT_LIST_DIR}/library_dependencies.cmake)

find_package(spdlog 1.10 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET GLOBAL tomlplusplus>=3.3)

# Debian's FlatBuffers package links the shared library; the generated code needs the headers alone.
find_path(FLATBUFFERS_INCLUDE_DIR flatbuffers/flatbuffers.h REQUIRED)
find_program(FLATC_PROGRAM flatc REQUIRED)
add_library(flatbuffers INTERFACE IMPORTED GLOBAL)
target_include_directories(flatbuffers SYSTEM INTERFACE ${FLATBUFFERS_INCLUDE_DIR})
add_executable(flatbuffers::flatc IMPORTED GLOBAL)
set_target_properties(flatbuffers::flatc PROPERTIES IMPORTED_LOCATION ${FLATC_PROGRAM})

if(BUILD_TESTING)
  find_package(GTest 1.12 REQUIRED)
  include(GoogleTest)
endif()
if(MILLRACE_BENCH)
  find_package(benchmark 1.7 REQUIRED)
endif()
