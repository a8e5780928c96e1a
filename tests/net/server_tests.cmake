# A node in simulation, with peers to talk to it.
add_library(server_story STATIC server_peer.cpp server_story.cpp)
target_link_libraries(server_story PUBLIC millrace_flags millrace_net millrace_sim GTest::gtest)

millrace_test(server_test SHORT
  SOURCES
    send_queue_test.cpp
    server_bad_input_table_test.cpp
    server_bad_input_test.cpp
    server_bounds_test.cpp
    server_catalog_test.cpp
    server_crowd_test.cpp
    server_fetch_test.cpp
    server_memory_test.cpp
    server_protocol_page_test.cpp
    server_requests_test.cpp
    server_shards_test.cpp
    server_stop_test.cpp
    server_threads_test.cpp
    ../reactor/uring_harness.cpp
  DEPENDS millrace_client server_story)
target_compile_definitions(server_test PRIVATE MILLRACE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

if(NOT MILLRACE_SANITIZE)
  millrace_test(append_allocations_test
    SOURCES append_allocations_test.cpp ../reactor/uring_harness.cpp
    DEPENDS counted_allocations server_story)
  # Frames as large as a release's: what it counts depends on their sizes.
  target_compile_options(append_allocations_test PRIVATE -O2)
endif()
