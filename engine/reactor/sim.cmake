# The simulated reactor: a library of its own, so that release servers do not carry it.
add_library(millrace_sim STATIC
  sim_content.cpp
  sim_device.cpp
  sim_device_bytes.cpp
  sim_disk.cpp
  sim_disk_cut.cpp
  sim_disk_inspect.cpp
  sim_disk_names.cpp
  sim_events.cpp
  sim_faults.cpp
  sim_network.cpp
  sim_network_stream.cpp
  sim_node.cpp
  sim_reactor.cpp
  sim_reactor_files.cpp
  sim_reactor_sockets.cpp
  sim_world.cpp
)
target_link_libraries(millrace_sim PUBLIC millrace_reactor)
