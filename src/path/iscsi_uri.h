// SPDX-License-Identifier: Apache-2.0
// Where a logical unit is, as its iSCSI URI says. Pure text: nothing is looked up or opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::path {

/// An iSCSI URI taken apart: iscsi://[USER[%SECRET]@]HOST[:PORT]/TARGET/LUN.
///
/// Behind it may stand ?header_digest=crc32c or none, and target_user=NAME for the target's own
/// proof. '%' in front of '@' begins the secret, which is taken as it is written; behind it "%3A"
/// and the like stand for one byte. A secret is never in a message and never in text().
/// Source:  ISCSI_URL_SYNTAX of libiscsi; RFC 7143 section 4.2.7 for names of targets.
struct IscsiUri {
    static constexpr uint16_t port_default = 3260;
    static constexpr uint16_t lun_max = 0x3fff;  ///< What flat addressing can say.

    std::string user;    ///< For CHAP; empty = none.
    std::string secret;  ///< Empty = not in the URI; it belongs into a file.
    std::string host;    ///< A name or number, without brackets.
    uint16_t port = port_default;
    std::string target;  ///< "iqn.2026-11.org.example:disks", "eui....", "naa....".
    uint16_t lun = 0;
    std::optional<bool> header_digest;
    std::string target_user;  ///< Whom the target says it is in mutual CHAP; empty = not asked.

    /// Reads `text`. Errors: one line that says what is wrong and how it is written.
    static Result<IscsiUri> parse(std::string_view text);
    /// The URI without its secret; parse() of it gives the same value, but for that.
    std::string text() const;
    /// Where the target is, for messages and as libiscsi wants it: "example.com:3260",
    /// "[::1]:3260".
    std::string portal() const;
    friend bool operator==(const IscsiUri&, const IscsiUri&) = default;
};

/// Whether `text` is meant as an iSCSI URI.
bool looks_like_iscsi_uri(std::string_view text);

}  // namespace braidway::path
