// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <utility>

#include "path/chap_secret.h"

namespace braidway::path {
namespace {

constexpr uint64_t hash_start = 0xcbf29ce484222325;

/// FNV-1a: the same in every build, unlike std::hash.
uint64_t add_to_hash(uint64_t hash, std::string_view text) {
    for (const char letter : text)
        hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    return (hash ^ 0xff) * 0x100000001b3;
}

}  // namespace

Result<void> check_iscsi_options(const IscsiOptions& options) {
    const IscsiUri& uri = options.uri;
    const auto refuse = [](std::string text) { return fail(std::move(text), EINVAL); };
    if (options.data_digest)
        return refuse(
            "data_digest is not offered by this libiscsi (1.20 has it); use ?header_digest=crc32c, "
            "and IPsec or a network of its own where data may be damaged on the way");
    const std::string& secret = options.secret.empty() ? uri.secret : options.secret;
    const bool has_secret = !secret.empty() || !options.secret_file.empty();
    const bool has_target_secret =
        !options.target_secret.empty() || !options.target_secret_file.empty();
    if (!uri.user.empty() && !has_secret)
        return refuse(
            fmt::format("the user '{}' has no secret; name a chap_secret_file", uri.user));
    if (uri.user.empty() && has_secret)
        return refuse("there is a chap_secret_file but no user; write iscsi://USER@HOST/...");
    if (!uri.target_user.empty() && !has_target_secret)
        return refuse("target_user has no secret; name a chap_mutual_secret_file");
    if (uri.target_user.empty() && has_target_secret)
        return refuse("there is a chap_mutual_secret_file but no ?target_user= in the URI");
    if (!options.target_secret.empty() && options.target_secret == secret)
        return refuse("the two secrets of mutual CHAP must differ");
    return check_initiator_name(options.initiator);
}

Result<void> check_initiator_name(std::string_view name) {
    if (!name.starts_with("iqn.") && !name.starts_with("eui.") && !name.starts_with("naa."))
        return fail(
            fmt::format("the initiator's name '{}' does not begin with iqn., eui. or naa.", name),
            EINVAL);
    constexpr size_t bytes_max = limits::iscsi_name_bytes_max;
    const auto allowed = [](unsigned char letter) {
        return std::isalnum(letter) != 0 || letter == '-' || letter == '.' || letter == ':' ||
               letter >= 0x80;
    };
    if (name.size() > bytes_max || !std::ranges::all_of(name, allowed))
        return fail(fmt::format("the initiator's name '{}' is no iSCSI name: letters, digits, '-', "
                                "'.' and ':', at most {} bytes",
                                name, bytes_max),
                    EINVAL);
    return {};
}

std::string default_initiator(std::string_view host) {
    return fmt::format("iqn.2026-11.org.braidway:{:016x}",
                       add_to_hash(add_to_hash(hash_start, "initiator"), host));
}

void iscsi_port_id(IscsiOptions& options, std::string_view host, std::string_view map,
                   std::string_view path) {
    uint64_t hash = hash_start;
    for (const std::string_view text : {host, map, path}) hash = add_to_hash(hash, text);
    options.isid = static_cast<uint32_t>(hash >> 40);
    options.isid_qualifier = static_cast<uint16_t>(hash >> 24);
}

Result<void> read_iscsi_secrets(IscsiOptions& options) {
    const std::pair<const std::string*, std::string*> files[] = {
        {&options.secret_file, &options.secret},
        {&options.target_secret_file, &options.target_secret},
    };
    for (const auto& [file, secret] : files) {
        if (file->empty()) continue;
        auto read = read_chap_secret(*file);
        if (!read) return std::unexpected(read.error());
        *secret = std::move(*read);
    }
    return check_iscsi_options(options);
}

}  // namespace braidway::path
