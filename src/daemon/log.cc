// SPDX-License-Identifier: Apache-2.0
#include "daemon/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "daemon/json.h"

namespace braidway::daemon {
namespace {

/// Whether stderr is the journal's socket (systemd says in JOURNAL_STREAM which file it is).
bool stderr_is_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    struct stat status{};
    if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
    return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

bool needs_quotes(std::string_view value) {
    if (value.empty()) return true;
    for (const char each : value)
        if (static_cast<unsigned char>(each) <= ' ' || each == '"' || each == '=' || each == '\\' ||
            each == 0x7f)
            return true;
    return false;
}

std::string quoted(std::string_view value) {
    if (!needs_quotes(value)) return std::string(value);
    std::string text = "\"";
    for (const char each : value) {
        if (each == '"' || each == '\\')
            text += fmt::format("\\{}", each);
        else if (each == '\n')
            text += "\\n";
        else if (static_cast<unsigned char>(each) < ' ' || each == 0x7f)
            text += fmt::format("\\x{:02x}", static_cast<unsigned char>(each));
        else
            text += each;
    }
    return text + '"';
}

spdlog::level::level_enum spdlog_level(Severity severity) {
    switch (severity) {
        case Severity::debug:
            return spdlog::level::debug;
        case Severity::info:
            return spdlog::level::info;
        case Severity::warning:
            return spdlog::level::warn;
        case Severity::critical:
            return spdlog::level::critical;
    }
    return spdlog::level::critical;
}

/// The level numbers of syslog, which the journal reads from "<4>".
int syslog_level(Severity severity) {
    switch (severity) {
        case Severity::debug:
            return 7;
        case Severity::info:
            return 6;
        case Severity::warning:
            return 4;
        case Severity::critical:
            return 2;
    }
    return 2;
}

}  // namespace

std::string event_line(const EventRecord& event) {
    std::string line = fmt::format("{} {}", severity_name(event.severity), event.kind);
    const auto add = [&](std::string_view key, std::string_view value) {
        line += fmt::format(" {}={}", key, quoted(value));
    };
    if (!event.map.empty()) add("map", event.map);
    if (!event.path.empty()) add("path", event.path);
    if (event.group != 0) add("group", fmt::format("{}", event.group));
    if (event.valid_paths) add("paths_left", fmt::format("{}", *event.valid_paths));
    if (!event.reason.empty()) add("reason", event.reason);
    return line;
}

EventLog::EventLog(const EventRing& ring, Severity level, LogFormat format,
                   std::shared_ptr<spdlog::sinks::sink> sink)
    : level_(level),
      journald_(format == LogFormat::journald ||
                (format == LogFormat::automatic && stderr_is_journal())) {
    if (!sink) sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    logger_ = std::make_unique<spdlog::logger>("braidway", std::move(sink));
    logger_->set_level(spdlog::level::debug);
    logger_->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        journald_ ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %v", spdlog::pattern_time_type::local));
    logger_->flush_on(spdlog::level::debug);
    // Where should one log that the log cannot be written? The events stay in the ring.
    logger_->set_error_handler([](const std::string&) {});
    writer_ = std::thread([this, &ring] { run(ring); });
}

EventLog::~EventLog() {
    writer_.join();
}

void EventLog::run(const EventRing& ring) {
    uint64_t next = 1;
    while (true) {
        const EventRing::Batch batch = ring.wait(next, Duration::max());
        if (batch.lost != 0) {
            EventRecord lost;
            lost.severity = Severity::warning;
            lost.kind = "events-lost";
            lost.reason =
                fmt::format("{} events came faster than they could be written", batch.lost);
            if (!batch.records.empty()) lost.wall_clock = batch.records.front().wall_clock;
            write(lost);
        }
        for (const EventRecord& event : batch.records) write(event);
        next = batch.next;
        if (batch.closed && batch.records.empty()) return;
    }
}

void EventLog::write(const EventRecord& event) {
    if (event.severity < level_.load()) return;
    std::string line = event_line(event);
    if (journald_) line = fmt::format("<{}>{}", syslog_level(event.severity), line);
    const spdlog::log_clock::time_point at{
        std::chrono::duration_cast<spdlog::log_clock::duration>(event.wall_clock)};
    logger_->log(at, spdlog::source_loc{}, spdlog_level(event.severity), line);
}

}  // namespace braidway::daemon
