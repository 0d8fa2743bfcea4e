// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/permissions.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <charconv>
#include <string>
#include <vector>

namespace braidway::apps {
namespace {

std::optional<uint32_t> parse_number(std::string_view text, int base) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc() || end != text.data() + text.size()) return {};
    return number;
}

/// Calls `ask(buffer, size)`, one of the get...nam_r, with more room until it suffices; its value.
template <typename Ask>
int with_room(Ask ask) {
    for (std::vector<char> room(1024);; room.resize(room.size() * 2)) {
        const int error = ask(room.data(), room.size());
        if (error != ERANGE || room.size() >= 1u << 20) return error;
    }
}

Result<uid_t> user_of(const std::string& name) {
    // -1 means "leave it" to chown.
    if (const auto number = parse_number(name, 10); number && *number != UINT32_MAX) return *number;
    passwd entry{};
    passwd* found = nullptr;
    uid_t user = 0;
    with_room([&](char* room, size_t size) {
        const int error = getpwnam_r(name.c_str(), &entry, room, size, &found);
        if (found != nullptr) user = found->pw_uid;
        return error;
    });
    if (found == nullptr) return fail(fmt::format("there is no user '{}'", name));
    return user;
}

Result<gid_t> group_of(const std::string& name) {
    if (const auto number = parse_number(name, 10); number && *number != UINT32_MAX) return *number;
    group entry{};
    group* found = nullptr;
    gid_t id = 0;
    with_room([&](char* room, size_t size) {
        const int error = getgrnam_r(name.c_str(), &entry, room, size, &found);
        if (found != nullptr) id = found->gr_gid;
        return error;
    });
    if (found == nullptr) return fail(fmt::format("there is no group '{}'", name));
    return id;
}

}  // namespace

Result<mode_t> parse_mode(std::string_view text) {
    const auto mode = parse_number(text, 8);
    if (!mode || *mode > 0777)
        return fail(
            fmt::format("'{}' is no mode; expected an octal number from 0 to 777, such as "
                        "0620",
                        text));
    return *mode;
}

Result<Owner> parse_owner(std::string_view text) {
    Owner owner;
    const size_t colon = std::min(text.find(':'), text.size());
    const std::string user(text.substr(0, colon));
    const std::string group(text.substr(std::min(colon + 1, text.size())));
    if (user.empty() && group.empty())
        return fail(fmt::format("'{}' is no owner; expected USER, USER:GROUP or :GROUP", text));
    if (colon + 1 == text.size())
        return fail(fmt::format("'{}' names no group after the ':'", text));
    if (!user.empty()) {
        const auto id = user_of(user);
        if (!id) return std::unexpected(id.error());
        owner.user = *id;
    }
    if (!group.empty()) {
        const auto id = group_of(group);
        if (!id) return std::unexpected(id.error());
        owner.group = *id;
    }
    return owner;
}

}  // namespace braidway::apps
