# cmake --install: the program to bin, what a person reads to share/doc, and the client library with its headers and a
# CMake package (component `client`; docs/client.md).
include(CMakePackageConfigHelpers)

if(TARGET millrace)
  install(TARGETS millrace RUNTIME)
endif()
install(FILES README.md TYPE DOC OPTIONAL)
install(DIRECTORY docs/ TYPE DOC)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Millrace)
install(TARGETS millrace_base millrace_reactor millrace_wire millrace_client EXPORT MillraceTargets
        ARCHIVE COMPONENT client)
install(EXPORT MillraceTargets NAMESPACE Millrace:: DESTINATION ${package_dir} COMPONENT client)
# The layers below are in the client's headers; the simulation and the client's own parts are not.
foreach(layer base reactor)
  install(DIRECTORY engine/${layer} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/millrace/engine COMPONENT client
          FILES_MATCHING PATTERN "*.h" PATTERN "*.inl" PATTERN "sim_*" EXCLUDE)
endforeach()
install(FILES net/client/blocking.h net/client/client.h net/client/consumer.h net/client/producer.h net/client/types.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/millrace/net/client COMPONENT client)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/MillraceConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/MillraceConfig.cmake cmake/library_dependencies.cmake
              ${PROJECT_BINARY_DIR}/MillraceConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT client)
