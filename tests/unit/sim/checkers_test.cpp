// Each checker with a defect planted on purpose that it must catch: in the engine's own state, in a packet on
// its way out, in an application. The table is also what docs/sim_checkers.md is made from (./run docs).
#include "runnel/sim/check/checkers.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "runnel/sim/names.hpp"

namespace runnel::sim {
namespace {

Scenario two_hosts(const Flow& flow) {
    Scenario scenario;
    scenario.hosts = {{.id = 0}, {.id = 1}};
    scenario.links = {{.id = 0, .a = 0, .b = 1}};
    scenario.links[0].way[0].delay = scenario.links[0].way[1].delay = milliseconds(10);
    scenario.flows = {flow};
    return scenario;
}
Scenario bulk(std::uint64_t up) {
    return two_hosts({.id = 0, .client = 0, .server = 1, .up = up});
}
Scenario kind(FlowKind kind, std::uint64_t up, std::uint64_t down) {
    return two_hosts(
        {.id = 0, .kind = kind, .up = up, .down = down, .count = 3, .pause = seconds(2)});
}

/// Looks before the checkers do, and spoils something.
class Saboteur : public Observer {
public:
    using OnEvent = std::function<void(Saboteur&, Simulation&, const Event&)>;
    using OnSettled = std::function<void(Saboteur&, Simulation&, NodeId)>;

    void on_event(Simulation& run, const Event& event) override {
        if (at_event) {
            at_event(*this, run, event);
        }
    }
    void on_settled(Simulation& run, NodeId host) override {
        if (when_settled) {
            when_settled(*this, run, host);
        }
    }
    void on_end(Simulation&) override { kept = {}; }

    OnEvent at_event;
    OnSettled when_settled;
    Checkers* checkers = nullptr;
    unsigned done = 0;
    Slice kept;
    std::vector<ReadyEvent> stolen;
};

tcp::Tcb& spoil(const tcp::Tcb& tcb) {
    return const_cast<tcp::Tcb&>(tcb);
}
Packet& spoil(const Packet& packet) {
    return const_cast<Packet&>(packet);
}
bool sends_data(const Event& event) {
    return event.kind == EventKind::transmitted && event.tcb != nullptr &&
           event.packet->payload_size > 0;
}
bool receives_data(const Event& event) {
    return event.kind == EventKind::delivered && event.tcb != nullptr &&
           event.packet->payload_size > 0;
}
/// A bare ACK of a connection that has been going on for a while.
bool sends_ack(const Event& event) {
    return event.kind == EventKind::transmitted && event.tcb != nullptr && event.number > 40 &&
           event.packet->sequence_length() == 0 && event.packet->tcp.flags.ack() &&
           !event.packet->tcp.flags.rst();
}
/// Each settled, awake connection of a host.
template <class F>
Saboteur::OnSettled each(F f) {
    return [f](Saboteur&, Simulation& run, NodeId host) {
        run.window(host).for_each_awake(
            [&](const tcp::Tcb& tcb) { f(spoil(tcb), run.local_now(host)); });
    };
}

void treble_after_reduction(tcp::Tcb& tcb) {
    tcp::Controller& controller = tcb.controller;
    if (controller.prior_window() != 0) {
        tcb.recovery.state = tcp::RecoveryState::open;
        controller.set_window(3 * controller.prior_window());
    } else if (tcb.counters.bytes_acked > 50'000) {
        controller.reduce(tcp::CongestionEvent::loss, {});
        tcb.recovery.state = tcp::RecoveryState::recovery;
        tcb.recovery.point = tcb.snd.nxt;
    }
}

/// Two ACKs six seconds apart, after which BBR looks for the round trip.
void count_in_tens(tcp::Tcb& tcb, Instant now) {
    if (tcb.counters.bytes_acked < 10'000) {
        return;
    }
    tcb.controller.use(tcp::CongestionControl::bbr, {});
    tcp::AckSummary ack;
    ack.octets_delivered = 5'000'000;
    ack.rate.delivered = 10'000'000;
    ack.rate.interval = ack.rtt = milliseconds(10);
    tcp::PathView path;
    path.mss = 10;
    path.smoothed_rtt = milliseconds(10);
    for (const Instant at : {now, now + seconds(6)}) {
        path.now = at;
        tcb.controller.observe(ack, path);
    }
}

struct Plant {
    Check check;
    const char* what;
    Scenario scenario;
    Saboteur::OnEvent at_event;
    Saboteur::OnSettled when_settled;
};

std::vector<Plant> wire_plants() {
    std::vector<Plant> plants;
    plants.push_back({Check::content,
                      "the network alters an octet so that no checksum tells",
                      bulk(50'000),
                      [](Saboteur& self, Simulation&, const Event& event) {
                          if (sends_data(event) && self.done++ == 5) {
                              Packet& packet = spoil(*event.packet);
                              packet.bytes[packet.payload_at()] ^= std::byte{1};
                              seal(packet);
                          }
                      },
                      {}});
    plants.push_back({Check::offered_window,
                      "a sender runs a megabyte ahead",
                      bulk(50'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (sends_data(event)) {
                              spoil(*event.packet).tcp.seq = event.packet->tcp.seq + (1 << 20);
                          }
                      },
                      {}});
    plants.push_back({Check::right_edge,
                      "a receiver closes a window that it has promised",
                      bulk(50'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (sends_ack(event)) {
                              spoil(*event.packet).tcp.window = 0;
                          }
                      },
                      {}});
    plants.push_back({Check::acks_advance,
                      "an ACK says less than the one before",
                      bulk(200'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (sends_ack(event)) {
                              TcpHeader& header = spoil(*event.packet).tcp;
                              header.ack = {header.ack.value - 20'000};
                              header.window = 65'535;
                          }
                      },
                      {}});
    plants.push_back({Check::one_fin,
                      "a FIN stands in the middle of the data",
                      bulk(50'000),
                      [](Saboteur& self, Simulation&, const Event& event) {
                          if (sends_data(event) && self.done++ == 0) {
                              spoil(*event.packet).tcp.flags.bits |= TcpFlags::kFin;
                          }
                      },
                      {}});
    return plants;
}

std::vector<Plant> mark_plants() {
    std::vector<Plant> plants;
    plants.push_back({Check::ecn,
                      "an ACK is ECN-capable",
                      bulk(50'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (sends_ack(event)) {
                              spoil(*event.packet).traffic_class = 2;
                          }
                      },
                      {}});
    plants.push_back({Check::ecn,
                      "data is ECN-capable, which nobody has agreed on",
                      bulk(50'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (sends_data(event)) {
                              spoil(*event.packet).traffic_class = 2;
                          }
                      },
                      {}});
    Scenario asking = bulk(50'000);
    for (HostSpec& host : asking.hosts) {
        host.knobs.push_back({"tcp_ecn", 1});
    }
    plants.push_back({Check::ecn,
                      "an ACK echoes a mark that never came",
                      asking,
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (sends_ack(event)) {
                              spoil(*event.packet).tcp.flags.bits |= TcpFlags::kEce;
                          }
                      },
                      {}});
    for (HostSpec& host : asking.hosts) {
        host.knobs.back().value = 3;
    }
    plants.push_back({Check::ecn,
                      "a sender counts marked octets that never were",
                      asking,
                      {},
                      each([](tcp::Tcb& tcb, Instant) {
                          if (tcb.ecn != nullptr) {
                              tcb.ecn->delivered.ce += 1'000;
                          }
                      })});
    return plants;
}

/// A bulk transfer whose data is marked now and then.
Scenario marked(std::uint64_t ecn = 1,
                tcp::CongestionControl control = tcp::CongestionControl::new_reno) {
    Scenario scenario = bulk(400'000);
    scenario.flows[0].congestion_control = control;
    for (HostSpec& host : scenario.hosts) {
        host.knobs.push_back({"tcp_ecn", ecn});
    }
    scenario.faults = {{.kind = FaultKind::mark_ecn,
                        .where = 0,
                        .ways = Ways::forth,
                        .until = seconds(60),
                        .intensity = 100'000,
                        .seed = 5}};
    return scenario;
}

bool hears_echo(const Event& event) {
    return event.kind == EventKind::delivered && event.tcb != nullptr && event.host == 0 &&
           event.packet->tcp.flags.ece() && !event.packet->tcp.flags.syn();
}

void widen_after_mark(Saboteur&, Simulation&, const Event& event) {
    if (event.kind == EventKind::delivered && event.tcb != nullptr &&
        event.tcb->recovery.state == tcp::RecoveryState::cwr) {
        tcp::Controller& controller = spoil(*event.tcb).controller;
        controller.undo();
        controller.set_window(4 * controller.window());
        controller.reduce(tcp::CongestionEvent::ecn, {});
    }
}

std::vector<Plant> reaction_plants() {
    std::vector<Plant> plants;
    plants.push_back({Check::ecn_reaction,
                      "a sender hears of a mark and does nothing",
                      marked(),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (hears_echo(event)) {
                              tcp::Tcb& tcb = spoil(*event.tcb);
                              tcb.recovery.state = tcp::RecoveryState::open;
                              tcb.controller.undo();
                          }
                      },
                      {}});
    plants.push_back({Check::ecn_reaction,
                      "a sender reduces for every echo",
                      marked(),
                      [](Saboteur& self, Simulation&, const Event& event) {
                          if (hears_echo(event) && self.done++ > 0) {
                              tcp::PathView path;
                              path.outstanding = event.tcb->controller.threshold();
                              spoil(*event.tcb).controller.reduce(tcp::CongestionEvent::ecn, path);
                          }
                      },
                      {}});
    plants.push_back({Check::ecn_reaction,
                      "CUBIC with AccECN comes back at once from what a mark has made of it",
                      marked(3, tcp::CongestionControl::cubic),
                      widen_after_mark,
                      {}});
    plants.push_back({Check::ecn_reaction,
                      "DCTCP answers a mark with a wider window",
                      marked(1, tcp::CongestionControl::dctcp),
                      widen_after_mark,
                      {}});
    return plants;
}

std::vector<Plant> flight_plants() {
    std::vector<Plant> plants;
    const auto spoil_once = [](auto f) {
        return [f](Saboteur& self, Simulation& run, NodeId host) {
            run.window(host).for_each_awake([&](const tcp::Tcb& tcb) {
                if (tcb.retransmission.size() > 1 && tcb.counters.bytes_acked > 10'000 &&
                    self.done++ == 0) {
                    f(spoil(tcb).retransmission, run.local_now(host));
                }
            });
        };
    };
    plants.push_back({Check::pipe,
                      "what nothing has overtaken counts as lost",
                      bulk(100'000),
                      {},
                      spoil_once([](tcp::RetransmissionQueue& queue, Instant) {
                          (void)queue.mark_all_lost();
                      })});
    plants.push_back({Check::pipe,
                      "what no SACK has told of counts as held",
                      bulk(100'000),
                      {},
                      spoil_once([](tcp::RetransmissionQueue& queue, Instant now) {
                          tcp::AckSummary summary;
                          queue.mark_sacked(queue.at(1).begin, queue.at(1).end, summary, now);
                      })});
    plants.push_back({Check::pipe,
                      "a segment counts twice that was sent once",
                      bulk(100'000),
                      {},
                      spoil_once([](tcp::RetransmissionQueue& queue, Instant now) {
                          queue.mark_all_lost();
                          queue.retransmitted(queue.front().length(), 1'000, now, {});
                          queue.forget_lost();
                      })});
    return plants;
}

std::vector<Plant> answer_plants() {
    std::vector<Plant> plants;
    plants.push_back({Check::sack_truth,
                      "a SACK block tells of what never came",
                      bulk(50'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (sends_ack(event)) {
                              TcpHeader& header = spoil(*event.packet).tcp;
                              header.options.sack.push_back(
                                  {header.ack + 5'000, header.ack + 6'000});
                          }
                      },
                      {}});
    Scenario crash = bulk(50'000);
    crash.faults = {{.kind = FaultKind::crash,
                     .where = 1,
                     .from = milliseconds(45),
                     .until = milliseconds(50)}};
    plants.push_back({Check::one_answer,
                      "a stranger's packet is answered twice",
                      crash,
                      [](Saboteur& self, Simulation& run, const Event& event) {
                          if (event.kind == EventKind::transmitted && event.connection == 0) {
                              for (int more = 0; more < 64; ++more) {
                                  self.checkers->on_event(run, event);
                              }
                          }
                      },
                      {}});
    return plants;
}

std::vector<Plant> timer_plants() {
    using tcp::Timer;
    std::vector<Plant> plants;
    plants.push_back({Check::loss_timer,
                      "the retransmission timer stops while data is in flight",
                      bulk(50'000),
                      {},
                      each([](tcp::Tcb& tcb, Instant) {
                          if (tcp::is_synchronized(tcb.state)) {
                              tcb.timers.cancel(Timer::retransmit);
                          }
                      })});
    plants.push_back({Check::persist_timer,
                      "the persist timer stops",
                      kind(FlowKind::never_reader, 0, 1'000'000),
                      {},
                      each([](tcp::Tcb& tcb, Instant) { tcb.timers.cancel(Timer::persist); })});
    plants.back().scenario.hosts[0].knobs = {{"tcp_rmem", 70'000}};
    plants.push_back({Check::owned_deadline,
                      "TIME-WAIT lasts an hour longer",
                      kind(FlowKind::many_short, 30'000, 100'000),
                      {},
                      [](Saboteur&, Simulation& run, NodeId host) {
                          run.window(host).for_each_time_wait([](const tcp::TimeWaitEntry& entry) {
                              auto& spoilt = const_cast<tcp::TimeWaitEntry&>(entry);
                              spoilt.expires = spoilt.expires + seconds(3'600);
                          });
                      }});
    plants.push_back({Check::delayed_ack,
                      "an ACK is put off for ten seconds",
                      bulk(50'000),
                      {},
                      each([](tcp::Tcb& tcb, Instant now) {
                          if (tcb.timers.armed(Timer::delayed_ack)) {
                              tcb.timers.arm(Timer::delayed_ack, now + seconds(10));
                          }
                      })});
    plants.back().scenario.hosts[1].knobs = {{"quick_acks", 0}};
    plants.push_back(
        {Check::timeout_progress,
         "a host wants to be called again at once, for ever",
         bulk(50'000),
         {},
         [](Saboteur&, Simulation& run, NodeId host) { run.machine(host).deadline = run.now(); }});
    plants.push_back({Check::completion,
                      "a wake-up is lost",
                      bulk(50'000),
                      [](Saboteur& self, Simulation& run, const Event& event) {
                          if (event.kind == EventKind::delivered && event.host == 1) {
                              run.sockets(1).take_ready(self.stolen);
                          }
                      },
                      {}});
    return plants;
}

std::vector<Plant> state_plants() {
    std::vector<Plant> plants;
    plants.push_back({Check::send_order,
                      "SND.UNA passes SND.NXT",
                      bulk(50'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (event.kind == EventKind::delivered && event.tcb != nullptr) {
                              spoil(*event.tcb).snd.una = event.tcb->snd.nxt + 1;
                          }
                      },
                      {}});
    plants.push_back({Check::transitions,
                      "ESTABLISHED becomes CLOSE-WAIT in silence",
                      bulk(50'000),
                      [](Saboteur& self, Simulation&, const Event& event) {
                          if (sends_data(event) && self.done++ == 4) {
                              spoil(*event.tcb).state = tcp::State::close_wait;
                          }
                      },
                      {}});
    plants.push_back({Check::reassembly,
                      "octets beyond the window are held",
                      bulk(50'000),
                      {},
                      [](Saboteur&, Simulation& run, NodeId host) {
                          run.window(host).for_each_awake([&](const tcp::Tcb& tcb) {
                              SliceList list;
                              const std::byte octets[8] = {};
                              list.push_back(run.host(host).pool().copy(octets));
                              (void)spoil(tcb).reassembler.insert(run.host(host).pool(),
                                                                  tcb.rcv.right_edge + 9'999,
                                                                  std::move(list));
                          });
                      }});
    plants.push_back({Check::rto_bounds,
                      "an RTT sample comes from an old ACK",
                      bulk(50'000),
                      [](Saboteur&, Simulation& run, const Event& event) {
                          if (event.kind == EventKind::delivered && event.host == 1 &&
                              event.tcb != nullptr && event.packet->payload_size > 0) {
                              spoil(*event.tcb)
                                  .rtt.take({.rtt = seconds(7), .now = event.local},
                                            run.window(event.host).config());
                          }
                      },
                      {}});
    plants.back().scenario.hosts[0].knobs = {{"tcp_timestamps", 0}};
    return plants;
}

std::vector<Plant> timestamp_plants() {
    std::vector<Plant> plants;
    plants.push_back({Check::paws,
                      "TS.Recent runs ahead of what has been heard",
                      bulk(50'000),
                      {},
                      each([](tcp::Tcb& tcb, Instant) { tcb.options.ts_recent += 1; })});
    plants.push_back({Check::paws,
                      "a segment an hour old is taken",
                      bulk(50'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (receives_data(event) && event.packet->tcp.options.timestamps) {
                              spoil(*event.packet).tcp.options.timestamps->value -= 3'600'000;
                          }
                      },
                      {}});
    return plants;
}

std::vector<Plant> resource_plants() {
    std::vector<Plant> plants;
    plants.push_back({Check::cwnd_bounds,
                      "the congestion window is empty",
                      bulk(50'000),
                      {},
                      each([](tcp::Tcb& tcb, Instant) {
                          tcp::TcpConfig config;
                          config.congestion_control = tcp::CongestionControl::fixed;
                          config.initial_window_segments = 0;
                          tcb.controller = tcp::Controller(config);
                      })});
    plants.push_back({Check::cubic_window,
                      "CUBIC's window trebles after a reduction",
                      bulk(400'000),
                      {},
                      each([](tcp::Tcb& tcb, Instant) { treble_after_reduction(tcb); })});
    plants.back().scenario.flows[0].congestion_control = tcp::CongestionControl::cubic;
    plants.push_back({Check::bbr_bounds,
                      "BBR takes its window for one of segments of ten octets",
                      bulk(400'000),
                      {},
                      each([](tcp::Tcb& tcb, Instant now) { count_in_tens(tcb, now); })});
    plants.push_back({Check::pipe,
                      "SND.NXT runs ahead of what was sent",
                      bulk(50'000),
                      {},
                      each([](tcp::Tcb& tcb, Instant) { tcb.snd.nxt += 1; })});
    plants.push_back({Check::buffers,
                      "a slice of packet memory is never given back",
                      bulk(5'000),
                      {},
                      [](Saboteur& self, Simulation& run, NodeId host) {
                          if (self.kept.empty()) {
                              const std::byte octet[1] = {};
                              self.kept = run.host(host).pool().copy(octet);
                          }
                      }});
    plants.push_back({Check::work,
                      "a packet makes the host walk a hundred thousand nodes",
                      bulk(50'000),
                      [](Saboteur&, Simulation&, const Event& event) {
                          if (event.kind == EventKind::delivered) {
                              work.nodes += 100'000;
                          }
                      },
                      {}});
    plants.push_back({Check::once,
                      "a connection counts as accepted before it is",
                      bulk(50'000),
                      [](Saboteur&, Simulation& run, const Event& event) {
                          if (event.kind == EventKind::call && event.host == 0) {
                              for (const Session& session : run.workload().sessions(0)) {
                                  const_cast<Session&>(session).accepted = true;
                              }
                          }
                      },
                      {}});
    return plants;
}

std::vector<Plant> all_plants() {
    std::vector<Plant> all;
    for (auto plants :
         {wire_plants(), answer_plants(), mark_plants(), reaction_plants(), flight_plants(),
          timer_plants(), state_plants(), timestamp_plants(), resource_plants()}) {
        for (Plant& plant : plants) {
            all.push_back(std::move(plant));
        }
    }
    return all;
}

TEST(Checkers, EachCatchesItsPlantedDefect) {
    CheckSet caught;
    for (const Plant& plant : all_plants()) {
        RunMemory memory;
        Saboteur saboteur;
        Checkers checkers;
        saboteur.at_event = plant.at_event;
        saboteur.when_settled = plant.when_settled;
        saboteur.checkers = &checkers;
        Simulation run(plant.scenario, memory);
        run.watch(saboteur);
        run.watch(checkers);
        const RunResult& result = run.run();
        ASSERT_TRUE(result.violation) << to_string(plant.check) << ": " << plant.what;
        EXPECT_EQ(to_string(result.violation->check), to_string(plant.check))
            << plant.what << "\n"
            << result.violation->text;
        caught.set(static_cast<std::size_t>(plant.check));
    }
    EXPECT_TRUE(caught.all()) << "a checker without a planted defect";
}

TEST(Checkers, FindNothingWithoutOne) {
    for (const Plant& plant : all_plants()) {
        RunMemory memory;
        Checkers checkers;
        Simulation run(plant.scenario, memory);
        run.watch(checkers);
        const RunResult& result = run.run();
        EXPECT_FALSE(result.violation) << plant.what << "\n" << result.violation->text;
        EXPECT_EQ(result.outcome, RunOutcome::rest) << plant.what;
    }
}

}  // namespace
}  // namespace runnel::sim
