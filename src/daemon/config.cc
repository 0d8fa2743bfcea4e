// SPDX-License-Identifier: Apache-2.0
#include "daemon/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <functional>

#include "base/check.h"
#include "daemon/config_reader.h"
#include "daemon/config_sections.h"
#include "daemon/host_identity.h"
#include "daemon/words.h"

namespace braidway::daemon {
namespace {

using SectionReader = void (*)(TableReader& reader, const std::string& name, Draft& draft);

bool valid_name(std::string_view name) {
    return !name.empty() && name.size() <= limits::name_bytes_max &&
           std::ranges::all_of(name, [](char each) {
               return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') ||
                      (each >= '0' && each <= '9') || each == '.' || each == '_' || each == '-';
           });
}

/// Reads all [SORT.NAME] sections of one sort.
void read_named_sections(TableReader& whole, std::string_view sort, size_t count_max,
                         SectionReader read, Draft& draft) {
    const toml::table* sections = whole.table(sort);
    if (sections == nullptr) return;
    if (sections->size() > count_max)
        whole.problem(sort,
                      fmt::format("{} of them; expected at most {}", sections->size(), count_max));
    for (const TableEntry& entry : entries_of(*sections)) {
        const std::string full_name = fmt::format("{}.{}", sort, entry.key);
        const toml::table* table = entry.value->as_table();
        if (!valid_name(entry.key))
            whole.problems().add(entry.line, full_name,
                                 fmt::format("'{}' is no name; expected 1 to {} of letters, "
                                             "digits, '.', '_' and '-'",
                                             entry.key, limits::name_bytes_max));
        else if (table == nullptr)
            whole.problems().add(entry.line, full_name,
                                 fmt::format("expected a section [{}]", full_name));
        else {
            TableReader reader(*table, full_name, entry.line, whole.problems());
            read(reader, entry.key, draft);
        }
    }
}

void read_single_section(TableReader& whole, std::string_view name,
                         void (*read)(TableReader& reader, Draft& draft), Draft& draft) {
    const toml::table* table = whole.table(name);
    if (table == nullptr) return;
    TableReader reader(*table, std::string(name), line_of(*table), whole.problems());
    read(reader, draft);
}

void read_whole(const toml::table& table, Draft& draft, ProblemList& problems) {
    TableReader whole(table, "", 1, problems);
    read_single_section(whole, "api", read_api, draft);
    read_single_section(whole, "daemon", read_daemon, draft);
    read_single_section(whole, "defaults", read_defaults, draft);
    read_named_sections(whole, "path", limits::maps_max * limits::paths_max, read_path, draft);
    read_named_sections(whole, "map", limits::maps_max, read_map, draft);
    read_named_sections(whole, "export", limits::exports_max, read_export, draft);
    whole.finish();
    join_sections(draft, problems);
}

Result<std::string> read_file(const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(fmt::format("cannot be opened: {}", errno_text(errno)), errno);
    std::string text;
    ssize_t count = 1;
    while (count > 0 && text.size() <= limits::config_bytes_max) {
        const size_t old_size = text.size();
        constexpr size_t step_bytes = 65536;
        text.resize(old_size + step_bytes);
        count = ::read(fd, text.data() + old_size, step_bytes);
        text.resize(old_size + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    }
    const int code = errno;
    ::close(fd);
    if (count < 0) return fail(fmt::format("cannot be read: {}", errno_text(code)), code);
    return text;
}

template <typename T>
const T* find_by_name(const std::vector<T>& all, std::string_view name) {
    const auto found = std::ranges::find(all, name, &T::name);
    return found == all.end() ? nullptr : &*found;
}

}  // namespace

std::expected<Config, ConfigProblems> parse_config(std::string_view text, const std::string& file) {
    ProblemList problems(file);
    if (text.size() > limits::config_bytes_max) {
        problems.add(
            0, "",
            fmt::format("is too large; expected at most {} bytes", limits::config_bytes_max));
        return std::unexpected(problems.take());
    }
    Draft draft;
    draft.config.file = file;
    try {
        const toml::table table = toml::parse(text, file);
        read_whole(table, draft, problems);
    } catch (const toml::parse_error& error) {
        problems.add(static_cast<uint32_t>(error.source().begin.line), "",
                     std::string(error.description()));
    }
    if (!problems.empty()) return std::unexpected(problems.take());
    return std::move(draft.config);
}

std::expected<Config, ConfigProblems> load_config(const std::string& file) {
    const Result<std::string> text = read_file(file);
    if (!text) return std::unexpected(ConfigProblems{{file, 0, "", text.error().message}});
    auto config = parse_config(*text, file);
    if (config)
        for (PathConfig& path : config->paths)
            if (path.device.kind == DeviceConfig::Kind::iscsi)
                path.device.iscsi.host = host_identity();
    return config;
}

std::string ConfigProblem::text() const {
    std::string where = line == 0 ? file : fmt::format("{}:{}", file, line);
    std::string text = key.empty() ? fmt::format("{}: {}", where, expected)
                                   : fmt::format("{}: {}: {}", where, key, expected);
    // One line, whatever the file has between its quotes.
    for (char& each : text)
        if (static_cast<unsigned char>(each) < 0x20 || each == 0x7f) each = '?';
    return text;
}

std::string problems_line(const ConfigProblems& problems) {
    std::string text;
    for (const ConfigProblem& each : problems)
        text += fmt::format("{}{}", text.empty() ? "" : "; ", each.text());
    return text;
}

std::string problems_text(const ConfigProblems& problems) {
    std::string text;
    for (const ConfigProblem& each : problems) text += each.text() + "\n";
    return text;
}

std::string DeviceConfig::text() const {
    switch (kind) {
        case Kind::file:
            return "file:" + path;
        case Kind::zero:
            return fmt::format("zero:{}", size_bytes);
        case Kind::error:
            return fmt::format("error:{}", size_bytes);
        case Kind::nbd:
            return nbd.uri.text();
        case Kind::iscsi:
            return iscsi.uri.text();
    }
    return {};
}

Duration DeviceConfig::resend_quiesce() const {
    switch (kind) {
        case Kind::file:
        case Kind::zero:
        case Kind::error:
            return {};
        case Kind::nbd:
            return nbd.resend_quiesce;
        case Kind::iscsi:
            return iscsi.resend_quiesce;
    }
    return {};
}

std::vector<std::string> GroupPath::selector_words() const {
    if (weight) return {"1", std::to_string(*weight)};
    return arguments;
}

const PathConfig* Config::path(std::string_view name) const {
    return find_by_name(paths, name);
}

const MapConfig* Config::map(std::string_view name) const {
    return find_by_name(maps, name);
}

const ExportConfig* Config::find_export(std::string_view name) const {
    return find_by_name(exports, name);
}

const MapConfig* Config::map_of_path(std::string_view name) const {
    for (const MapConfig& map : maps)
        for (const GroupConfig& group : map.groups)
            if (std::ranges::find(group.paths, name, &GroupPath::path) != group.paths.end())
                return &map;
    return nullptr;
}

}  // namespace braidway::daemon
