// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/overrides.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>

namespace braidway::apps {

using daemon::IoBackend;
using daemon::Severity;

namespace {

/// An option that takes one of the words of `choices`.
template <typename T>
void add_choice(CLI::App& app, const std::string& name, const std::string& type,
                const std::string& help, const std::map<std::string, T>& choices,
                std::optional<T>& target) {
    const auto check = [choices](const std::string& word) {
        if (choices.contains(word)) return std::string();
        std::string words;
        for (const auto& each : choices) words += " " + each.first;
        return "'" + word + "': expected one of" + words;
    };
    const auto set = [&target, choices](const std::string& word) { target = choices.at(word); };
    app.add_option_function<std::string>(name, set, help)->check(check)->type_name(type);
}

}  // namespace

void add_override_options(CLI::App& app, Overrides& overrides) {
    const std::map<std::string, IoBackend> backends{{"auto", IoBackend::automatic},
                                                    {"io_uring", IoBackend::io_uring},
                                                    {"epoll", IoBackend::epoll}};
    const std::map<std::string, Severity> levels{{"debug", Severity::debug},
                                                 {"info", Severity::info},
                                                 {"warning", Severity::warning},
                                                 {"critical", Severity::critical}};
    add_choice<IoBackend>(app, "--io-backend", "BACKEND",
                          "How I/O is done: auto, io_uring or epoll", backends,
                          overrides.io_backend);
    add_choice<Severity>(app, "--log-level", "LEVEL",
                         "What is logged: debug, info, warning or critical", levels,
                         overrides.log_level);
}

void apply_overrides(const Overrides& overrides, daemon::Config& config) {
    if (overrides.api) {
        // Another working directory later must not mean another socket.
        std::error_code ignored;
        const std::filesystem::path absolute = std::filesystem::absolute(*overrides.api, ignored);
        config.api.socket = absolute.empty() ? *overrides.api : absolute.string();
        daemon::name_initiator_ports(config);
    }
    if (overrides.io_backend) config.daemon.io_backend = *overrides.io_backend;
    if (overrides.log_level) config.daemon.log_level = *overrides.log_level;
}

}  // namespace braidway::apps
