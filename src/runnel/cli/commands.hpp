// The subcommands: each adds itself to the program and sets the exit code when it is run.
#pragma once

namespace CLI {
class App;
}

namespace runnel {

void add_demo(CLI::App& program, int& exit_code);
void add_serve(CLI::App& program, int& exit_code);
void add_get(CLI::App& program, int& exit_code);
void add_nc(CLI::App& program, int& exit_code);
void add_ss(CLI::App& program, int& exit_code);
void add_stat(CLI::App& program, int& exit_code);
void add_why(CLI::App& program, int& exit_code);
void add_trace(CLI::App& program, int& exit_code);
void add_ladder(CLI::App& program, int& exit_code);
void add_doctor(CLI::App& program, int& exit_code);
void add_explain(CLI::App& program, int& exit_code);
void add_lab(CLI::App& program, int& exit_code);
void add_drill(CLI::App& program, int& exit_code);
void add_sim(CLI::App& program, int& exit_code);
void add_completion(CLI::App& program, int& exit_code);
void add_man(CLI::App& program, int& exit_code);

}  // namespace runnel
