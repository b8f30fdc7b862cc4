# Pcap::pcap: libpcap brings no CMake package of its own.
find_path(PCAP_INCLUDE_DIR pcap/pcap.h)
find_library(PCAP_LIBRARY pcap)
if(NOT PCAP_INCLUDE_DIR OR NOT PCAP_LIBRARY)
  message(FATAL_ERROR "libpcap is missing: apt-get install libpcap-dev (or ./run, which does it).")
endif()
if(NOT TARGET Pcap::pcap)
  add_library(Pcap::pcap UNKNOWN IMPORTED)
  set_target_properties(Pcap::pcap PROPERTIES
    IMPORTED_LOCATION ${PCAP_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${PCAP_INCLUDE_DIR})
endif()
mark_as_advanced(PCAP_INCLUDE_DIR PCAP_LIBRARY)
