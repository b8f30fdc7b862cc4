// What a run leaves behind besides its summary: lines, a capture, a qlog, a picture.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/sim/run.hpp"

namespace runnel::sim_command {

struct OutputPaths {
    bool events = false;  ///< lines on standard output
    std::string capture, qlog, svg, script;
    std::optional<std::uint32_t>
        host;  ///< whose capture, qlog and script; default: the first flow's client
    std::optional<std::uint32_t> flow;  ///< whose picture and script, by id; default: the first
    [[nodiscard]] bool any() const {
        return events || !capture.empty() || !qlog.empty() || !svg.empty() || !script.empty();
    }
};

class Outputs {
public:
    /// Creates the files. Throws CommandError when one can't be, or a host or flow is not in the scenario.
    Outputs(const OutputPaths& paths, const sim::Scenario& scenario, const std::string& title);
    ~Outputs();
    Outputs(const Outputs&) = delete;
    Outputs& operator=(const Outputs&) = delete;

    /// Who has to watch the run.
    [[nodiscard]] std::vector<sim::Observer*> observers();
    /// After the run: writes what is left. Throws CommandError when something could not be written.
    void finish();

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace runnel::sim_command
