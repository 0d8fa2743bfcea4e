// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_options.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "path/chap_secret.h"

namespace braidway::path {
namespace {

/// FNV-1a: the same in every build, unlike std::hash.
uint64_t add_to_hash(uint64_t hash, std::string_view text) {
    for (const char letter : text)
        hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    return (hash ^ 0xff) * 0x100000001b3;
}

}  // namespace

Result<void> check_iscsi_options(const IscsiOptions& options) {
    const IscsiUri& uri = options.uri;
    const auto refuse = [&](std::string_view text) {
        return fail(fmt::format("{}: {}", uri.text(), text), EINVAL);
    };
    if (options.data_digest)
        return refuse(
            "data_digest is not offered by this libiscsi (1.20 has it); use header_digest, and "
            "IPsec or a network of its own where data may be damaged on the way");
    const bool has_secret = !options.secret.empty() || !uri.secret.empty();
    if (!uri.user.empty() && !has_secret)
        return refuse("the user has no secret; name a chap_secret_file");
    if (uri.user.empty() && has_secret)
        return refuse("there is a CHAP secret but no user; write iscsi://USER@HOST/...");
    if (!uri.target_user.empty() && options.target_secret.empty())
        return refuse("target_user has no secret; name a chap_mutual_secret_file");
    if (uri.target_user.empty() && !options.target_secret.empty())
        return refuse("there is a chap_mutual_secret_file but no ?target_user= in the URI");
    if (has_secret &&
        options.target_secret == (options.secret.empty() ? uri.secret : options.secret))
        return refuse("the two secrets of mutual CHAP must differ");
    if (!options.initiator.starts_with("iqn.") && !options.initiator.starts_with("eui.") &&
        !options.initiator.starts_with("naa."))
        return refuse(fmt::format(
            "the initiator's name '{}' does not begin with iqn., eui. or naa.", options.initiator));
    return {};
}

void iscsi_port_id(IscsiOptions& options, std::string_view host, std::string_view map,
                   std::string_view path) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const std::string_view text : {host, map, path}) hash = add_to_hash(hash, text);
    options.isid = static_cast<uint32_t>(hash >> 40);
    options.isid_qualifier = static_cast<uint16_t>(hash >> 24);
}

Result<void> read_iscsi_secrets(IscsiOptions& options, const std::string& chap_secret_file,
                                const std::string& chap_mutual_secret_file) {
    const std::pair<const std::string*, std::string*> files[] = {
        {&chap_secret_file, &options.secret},
        {&chap_mutual_secret_file, &options.target_secret},
    };
    for (const auto& [file, secret] : files) {
        if (file->empty()) continue;
        auto read = read_chap_secret(*file);
        if (!read) return std::unexpected(read.error());
        *secret = std::move(*read);
    }
    return {};
}

}  // namespace braidway::path
