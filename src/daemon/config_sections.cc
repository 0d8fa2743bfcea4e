// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_sections.h"

#include <fmt/format.h>

#include <bit>
#include <filesystem>

#include "base/units.h"
#include "daemon/config_fabric.h"
#include "multipath/selector.h"

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;

std::optional<IoTimeout> read_io_timeout(TableReader& reader) {
    const toml::node* node = reader.node("io_timeout");
    if (node != nullptr && node->is_string() && node->as_string()->get() == "off")
        return IoTimeout{};
    const auto length = reader.duration("io_timeout", limits::interval_min, limits::interval_max);
    if (!length) return std::nullopt;
    return IoTimeout{length};
}

}  // namespace

void read_api(TableReader& reader, Draft& draft) {
    ApiConfig& api = draft.config.api;
    api.line = reader.line("socket");
    if (const std::optional<std::string> socket = reader.text("socket")) {
        api.socket =
            resolve_file(socket->starts_with("unix:") ? socket->substr(5) : *socket, draft);
        if (socket->empty()) reader.problem("socket", "expected the name of a socket file");
        if (const Result<void> fits = exports::check_socket_path(api.socket); !fits)
            reader.problem("socket", fits.error().message);
    }
    if (const std::optional<std::string> mode = reader.text("mode")) {
        const bool octal = mode->size() >= 3 && mode->size() <= 4 &&
                           mode->find_first_not_of("01234567") == std::string::npos;
        const uint32_t bits = octal ? static_cast<uint32_t>(std::stoul(*mode, nullptr, 8)) : 0;
        if (octal && (bits & 0600) == 0600 && bits <= 0777)
            api.mode = bits;
        else
            reader.problem("mode",
                           fmt::format("'{}': expected \"0600\", \"0660\" or \"0666\"", *mode));
    }
    reader.finish();
}

void read_daemon(TableReader& reader, Draft& draft) {
    DaemonConfig& daemon = draft.config.daemon;
    daemon.io_backend = reader
                            .choice<IoBackend>("io_backend", {{"auto", IoBackend::automatic},
                                                              {"io_uring", IoBackend::io_uring},
                                                              {"epoll", IoBackend::epoll}})
                            .value_or(daemon.io_backend);
    daemon.log_level = reader
                           .choice<Severity>("log_level", {{"debug", Severity::debug},
                                                           {"info", Severity::info},
                                                           {"warning", Severity::warning},
                                                           {"critical", Severity::critical}})
                           .value_or(daemon.log_level);
    daemon.log_format = reader
                            .choice<LogFormat>("log_format", {{"auto", LogFormat::automatic},
                                                              {"text", LogFormat::text},
                                                              {"journald", LogFormat::journald}})
                            .value_or(daemon.log_format);
    daemon.shutdown_timeout =
        reader.duration("shutdown_timeout", 100ms, 1h).value_or(daemon.shutdown_timeout);
    daemon.nbd_connections_max = static_cast<uint32_t>(
        reader.whole_number("nbd_connections_max", 1, limits::nbd_connections_max)
            .value_or(daemon.nbd_connections_max));
    reader.finish();
}

void read_defaults(TableReader& reader, Draft& draft) {
    draft.defaults = read_inherited_keys(reader);
    draft.default_selector = read_selector(reader);
    draft.default_no_path = read_no_path(reader);
    draft.default_initiator = read_initiator(reader);
    reader.finish();
}

InheritedKeys read_inherited_keys(TableReader& reader) {
    InheritedKeys keys;
    keys.checker = reader.choice<CheckConfig::Checker>(
        "checker", {{"auto", CheckConfig::Checker::automatic},
                    {"directio", CheckConfig::Checker::directio},
                    {"tur", CheckConfig::Checker::tur},
                    {"none", CheckConfig::Checker::none}});
    keys.polling_interval =
        reader.duration("polling_interval", limits::interval_min, limits::interval_max);
    keys.max_polling_interval =
        reader.duration("max_polling_interval", limits::interval_min, limits::interval_max);
    keys.checker_timeout =
        reader.duration("checker_timeout", limits::interval_min, limits::interval_max);
    keys.io_timeout = read_io_timeout(reader);
    if (keys.polling_interval && keys.max_polling_interval &&
        *keys.max_polling_interval < *keys.polling_interval)
        reader.problem("max_polling_interval", "is shorter than polling_interval");
    return keys;
}

std::optional<NoPathConfig> read_no_path(TableReader& reader) {
    constexpr std::string_view key = "no_path_timeout";
    const toml::node* node = reader.node(key);
    if (node == nullptr) return std::nullopt;
    const auto* text = node->as_string();
    if (text != nullptr && text->get() == "queue") return NoPathConfig{true, std::nullopt};
    if (text != nullptr && text->get() == "fail") return NoPathConfig{false, std::nullopt};
    if (text == nullptr || !parse_duration(text->get())) {
        reader.problem(key, fmt::format("{} is unknown; expected a duration such as \"60 s\", "
                                        "\"queue\" or \"fail\"",
                                        text == nullptr ? "this value" : "'" + text->get() + "'"));
        return std::nullopt;
    }
    const auto length = reader.duration(key, limits::interval_min, 30 * limits::interval_max);
    if (!length) return std::nullopt;
    return NoPathConfig{true, length};
}

std::optional<std::string> read_selector(TableReader& reader) {
    return reader.one_of("selector", multipath::selector_names());
}

bool power_of_two(TableReader& reader, std::string_view key, uint64_t value) {
    if (std::has_single_bit(value)) return true;
    reader.problem(key, fmt::format("{} is no power of two", value));
    return false;
}

std::string resolve_file(const std::string& path, const Draft& draft) {
    const std::filesystem::path given(path);
    if (given.is_absolute() || draft.config.file.empty()) return path;
    return (std::filesystem::path(draft.config.file).parent_path() / given).lexically_normal();
}

}  // namespace braidway::daemon
