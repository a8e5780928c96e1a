millrace_test(server_test
  SOURCES
    server_peer.cpp
    server_requests_test.cpp
    server_story.cpp
  DEPENDS millrace_net millrace_sim)
