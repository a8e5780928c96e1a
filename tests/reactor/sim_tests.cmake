# The simulated reactor: its own tests, and the contract on it.
millrace_test(sim_test
  SOURCES sim_content_test.cpp sim_crash_test.cpp sim_disk_test.cpp sim_faults_test.cpp sim_network_test.cpp
          sim_world_test.cpp
  DEPENDS millrace_sim)
millrace_test(sim_contract_test SHORT
  SOURCES sim_contract_harness.cpp
  DEPENDS reactor_contract millrace_sim)
