# cmake --install: the program to bin, what a person reads to share/doc.
if(TARGET millrace)
  install(TARGETS millrace RUNTIME)
endif()
install(FILES README.md TYPE DOC OPTIONAL)
install(DIRECTORY docs/ TYPE DOC)
