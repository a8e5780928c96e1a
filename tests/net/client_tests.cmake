millrace_test(client_test SHORT
  SOURCES client_call_producer_test.cpp client_consumer_test.cpp client_fake_server.cpp client_producer_again_test.cpp client_producer_test.cpp
    client_test.cpp
  DEPENDS millrace_client millrace_sim)
