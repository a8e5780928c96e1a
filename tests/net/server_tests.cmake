millrace_test(server_test
  SOURCES
    server_bad_input_test.cpp
    server_bounds_test.cpp
    server_catalog_test.cpp
    server_peer.cpp
    server_requests_test.cpp
    server_shards_test.cpp
    server_stop_test.cpp
    server_story.cpp
    server_threads_test.cpp
    ../reactor/uring_harness.cpp
  DEPENDS millrace_net millrace_sim)
