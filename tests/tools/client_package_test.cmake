# Installs the client library into an empty folder, and builds and runs the example with it as docs/client.md says.
function(run)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}:\n${output}")
  endif()
endfunction()

file(READ ${SOURCE}/docs/client.md page)
file(STRINGS ${SOURCE}/examples/outside/CMakeLists.txt lines)
list(JOIN lines "\n    " lines)
string(FIND "${page}" "    ${lines}\n" at)
if(at EQUAL -1)
  message(FATAL_ERROR "docs/client.md does not show examples/outside/CMakeLists.txt as it is")
endif()

file(REMOVE_RECURSE ${SCRATCH})
file(COPY ${SOURCE}/examples/outside/CMakeLists.txt ${SOURCE}/examples/quickstart.cpp DESTINATION ${SCRATCH}/program)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/prefix --component client)
set(flags)
if(SANITIZE)
  set(flags -DCMAKE_CXX_FLAGS=-fsanitize=${SANITIZE})
endif()
run(${CMAKE_COMMAND} -S ${SCRATCH}/program -B ${SCRATCH}/build -G Ninja -DCMAKE_PREFIX_PATH=${SCRATCH}/prefix
    -DCMAKE_CXX_COMPILER=${COMPILER} ${flags})
run(${CMAKE_COMMAND} --build ${SCRATCH}/build)

# Nobody listens there.
execute_process(COMMAND ${SCRATCH}/build/quickstart 127.0.0.1:1 ERROR_VARIABLE said RESULT_VARIABLE status)
if(NOT status EQUAL 1 OR NOT said MATCHES "quickstart: .*127.0.0.1:1")
  message(FATAL_ERROR "the program ended with ${status} and said: ${said}")
endif()
