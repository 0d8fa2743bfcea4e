// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/type_groups.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/lockcheck/files.h"
#include "base/clock.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

std::string text_in(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

uint64_t number_in(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || !found->is_number_unsigned() ? 0 : found->get<uint64_t>();
}

/// A number written as "0x1f".
std::optional<uint64_t> address_in(const Json& object, const char* key) {
    const std::string text = text_in(object, key);
    if (!text.starts_with("0x")) return std::nullopt;
    uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data() + 2, end, number, 16);
    if (error != std::errc() || stopped != end) return std::nullopt;
    return number;
}

Stack stack_in(const Json& object) {
    Stack stack;
    const auto found = object.find("made");
    if (found == object.end() || !found->is_array()) return stack;
    for (const Json& each : *found) {
        if (!each.is_object()) continue;
        Frame frame;
        frame.address = address_in(each, "address").value_or(0);
        frame.module = text_in(each, "module");
        frame.offset = address_in(each, "offset");
        stack.push_back(std::move(frame));
    }
    return stack;
}

LockOrigin origin_in(const Json& object) {
    const auto initialised = object.find("initialised");
    return {.place = text_in(object, "place"),
            .made = stack_in(object),
            .module = text_in(object, "module"),
            .address = address_in(object, "address").value_or(0),
            .block_bytes = number_in(object, "block_bytes"),
            .offset_bytes = number_in(object, "offset_bytes"),
            .lock_bytes = number_in(object, "lock_bytes"),
            .initialised = initialised != object.end() && initialised->is_boolean() &&
                           initialised->get<bool>()};
}

}  // namespace

Result<std::vector<LockOrigin>> read_origins(std::string_view text) {
    const Json question = Json::parse(text, nullptr, false);
    if (!question.is_object() || number_in(question, "lockcheck_types") != 1)
        return std::unexpected(Error{"types: expected a question of version 1"});
    const auto list = question.find("origins");
    if (list == question.end() || !list->is_array() || list->size() > origins_max)
        return std::unexpected(
            Error{fmt::format("types: origins: expected a list of at most {}", origins_max)});
    std::vector<LockOrigin> origins;
    for (const Json& each : *list) {
        if (!each.is_object())
            return std::unexpected(Error{"types: origins: expected objects in the list"});
        origins.push_back(origin_in(each));
    }
    return origins;
}

std::string type_groups(const std::vector<LockOrigin>& origins,
                        const std::function<std::string(const LockOrigin&)>& type_of) {
    std::map<std::string, std::vector<size_t>> groups;
    for (size_t at = 0; at < origins.size(); ++at)
        if (const std::string type = type_of(origins[at]); !type.empty())
            groups[type].push_back(at);
    std::string answer;
    for (const auto& [type, members] : groups)
        if (members.size() > 1) answer += fmt::format("{}\n", fmt::join(members, " "));
    return answer;
}

int run_types() {
    constexpr int no_answer = 3;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, SIG_DFL);
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, nullptr);
    alarm(static_cast<unsigned>(limits::lockcheck_types_patience / 1s));
    // Debug information comes from this machine; nothing is fetched.
    unsetenv("DEBUGINFOD_URLS");
    const auto text = read_all(STDIN_FILENO, "question", limits::lockcheck_question_bytes_max);
    if (!text) return no_answer;
    const auto origins = read_origins(*text);
    if (!origins) return no_answer;
    LockTypes types(monotonic_now() + limits::lockcheck_types_time_max);
    std::string answer =
        type_groups(*origins, [&](const LockOrigin& origin) { return types.type_of(origin); }) +
        "=\n" +
        type_groups(*origins, [&](const LockOrigin& origin) { return types.calls_of(origin); }) +
        "=\n";
    for (size_t at = 0; at < origins->size(); ++at)
        if (types.is_of_mixed_code((*origins)[at])) answer += fmt::format("{}\n", at);
    return write_all(STDOUT_FILENO, "answer", answer) ? 0 : no_answer;
}

}  // namespace braidway::lockcheck
