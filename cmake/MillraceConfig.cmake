# find_package(Millrace): the library that docs/client.md is about, as Millrace::client.
include(${CMAKE_CURRENT_LIST_DIR}/library_dependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/MillraceTargets.cmake)
