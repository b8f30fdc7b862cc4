// The configuration of a host's network layer as a value. Each field names the
// Linux sysctl it mirrors or the RFC whose default it carries; every queue and
// table of the room has its limit here (law 5).
#pragma once

#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel {

struct IpConfig {
    // --- sending
    // -----------------------------------------------------------------------------------
    std::uint8_t hop_limit =
        64;  ///< of packets the layer makes itself; Linux: net.ipv4.ip_default_ttl

    /// A packet from outside may have a source of this host's own (IPv4); Linux: net.ipv4.conf.all.accept_local
    bool accept_local = false;

    // --- reassembly (RFC 791 §3.2, RFC 8200 §4.5)
    // ----------------------------------------------------
    Duration reassembly_time_v4 = seconds(30);         ///< Linux: net.ipv4.ipfrag_time
    Duration reassembly_time_v6 = seconds(60);         ///< RFC 8200 §4.5
    std::uint32_t reassembly_bytes = 4 * 1024 * 1024;  ///< pinned by all; Linux: ipfrag_high_thresh
    std::uint32_t reassembly_bytes_per_source = 1024 * 1024;  ///< pinned by one source address

    // --- path MTU (RFC 1191, RFC 8201)
    // ---------------------------------------------------------------
    std::uint32_t min_path_mtu_v4 = 552;            ///< Linux: net.ipv4.route.min_pmtu
    Duration path_mtu_lifetime = seconds(10 * 60);  ///< Linux: net.ipv4.route.mtu_expires

    // --- ICMP (RFC 1122 §3.2.2, RFC 4443 §2.4 (f))
    // ---------------------------------------------------
    bool answer_echo = true;                      ///< Linux: net.ipv4.icmp_echo_ignore_all
    std::uint32_t icmp_errors_per_second = 1000;  ///< Linux: net.ipv4.icmp_msgs_per_sec
    std::uint32_t icmp_error_burst = 50;          ///< Linux: net.ipv4.icmp_msgs_burst

    // --- neighbours, ARP and NDP alike (RFC 826, RFC 4861 §10)
    // ---------------------------------------
    Duration reachable_time = seconds(30);     ///< base; each entry draws 0.5 to 1.5 times of it
    Duration retransmit_time = seconds(1);     ///< between solicitations
    Duration delay_first_probe = seconds(5);   ///< DELAY_FIRST_PROBE_TIME
    std::uint8_t multicast_solicitations = 3;  ///< MAX_MULTICAST_SOLICIT, also ARP broadcasts
    std::uint8_t unicast_solicitations = 3;    ///< MAX_UNICAST_SOLICIT
    std::uint16_t neighbor_queue = 64;         ///< frames held behind one resolution

    // --- duplicate addresses (RFC 4862 §5.4, RFC 4429, RFC 5227)
    // -------------------------------------
    std::uint8_t dad_transmits = 1;  ///< DupAddrDetectTransmits; 0: none
    bool optimistic_dad = true;      ///< the address is used while it is being checked (RFC 4429)
    std::uint8_t arp_probes = 1;     ///< RFC 5227 §2.1.1; the address is used meanwhile
    std::uint8_t arp_announcements = 2;  ///< RFC 5227 §2.3

    // --- routers (RFC 4861 §6.3)
    // ---------------------------------------------------------------------
    std::uint8_t router_solicitations = 3;     ///< MAX_RTR_SOLICITATIONS; 0: none
    bool accept_router_advertisements = true;  ///< default route, on-link prefixes, MTU, hop limit
};

}  // namespace runnel
