// SPDX-License-Identifier: Apache-2.0
// As whom an iSCSI session logs in, and what a target has against it.
#pragma once

#include <cstdint>
#include <string>

// NOLINTNEXTLINE(readability-identifier-naming): the library's name.
struct iscsi_context;

namespace braidway::path {

/// To whom to log in, and as whom.
struct IscsiLogin {
    std::string portal;  ///< Numeric, so that nothing is looked up: "10.0.0.1:3260", "[::1]:3260".
    std::string target;
    std::string initiator;  ///< Our name: "iqn....".
    /// With the initiator's name it makes the initiator port. A session with the same one replaces
    /// the older, and ends what that had under way; so two paths never share one.
    uint32_t isid = 0;  ///< 24 bits.
    uint16_t isid_qualifier = 0;
    uint16_t lun = 0;
    bool header_digest = false;  ///< CRC32C or no login.
    std::string user;            ///< CHAP; empty = none.
    std::string secret;
    std::string target_user;  ///< Mutual CHAP; empty = the target need not prove itself.
    std::string target_secret;
};

/// Tells the library all of `login` but the portal. False = it says why (iscsi_get_error).
bool prepare_login(iscsi_context* context, const IscsiLogin& login);

/// A failed connect in words that say what to do. `text` is libiscsi's, with the error's number
/// behind it in parentheses.
std::string iscsi_connect_problem(const std::string& portal, const std::string& text);

/// A refused login in words that say what to do. `text` is libiscsi's, with the status of the
/// target's answer behind it in decimal.
/// Source:  RFC 7143, 11.13.5.
std::string iscsi_login_problem(const IscsiLogin& login, const std::string& text);

}  // namespace braidway::path
