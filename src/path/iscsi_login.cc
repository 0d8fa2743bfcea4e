// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_login.h"

#include <fmt/format.h>
#include <iscsi/iscsi.h>

#include <cerrno>
#include <charconv>

#include "base/error.h"

namespace braidway::path {
namespace {

/// The number that libiscsi puts in parentheses behind a text; 0 = none.
int number_behind(const std::string& text) {
    const size_t open = text.rfind('(');
    int number = 0;
    if (open != std::string::npos)
        std::from_chars(text.data() + open + 1, text.data() + text.size(), number);
    return number;
}

/// The status of a refused login, as RFC 7143 11.13.5 has them; 0 = none.
int login_status(const std::string& text) {
    return text.find("Failed to log in") == std::string::npos ? 0 : number_behind(text);
}

}  // namespace

bool prepare_login(iscsi_context* context, const IscsiLogin& login) {
    const auto digest = login.header_digest ? ISCSI_HEADER_DIGEST_CRC32C : ISCSI_HEADER_DIGEST_NONE;
    if (iscsi_set_targetname(context, login.target.c_str()) != 0 ||
        iscsi_set_session_type(context, ISCSI_SESSION_NORMAL) != 0 ||
        iscsi_set_header_digest(context, digest) != 0 ||
        iscsi_set_isid_random(context, login.isid, login.isid_qualifier) != 0)
        return false;
    if (login.user.empty()) return true;
    if (iscsi_set_initiator_username_pwd(context, login.user.c_str(), login.secret.c_str()) != 0)
        return false;
    return login.target_user.empty() ||
           iscsi_set_target_username_pwd(context, login.target_user.c_str(),
                                         login.target_secret.c_str()) == 0;
}

std::string iscsi_connect_problem(const std::string& portal, const std::string& text) {
    const int code = number_behind(text);
    std::string_view hint;
    if (code == ECONNREFUSED)
        hint = "; does the target run, and listen on this port?";
    else if (code == EHOSTUNREACH || code == ENETUNREACH)
        hint = "; is the network up?";
    return fmt::format("cannot connect to {}: {}{}", portal, code == 0 ? text : errno_text(code),
                       hint);
}

std::string iscsi_login_problem(const IscsiLogin& login, const std::string& text) {
    switch (login_status(text)) {
        case 0x0201:
            return login.user.empty()
                       ? "the target wants CHAP; name a user and chap_secret_file"
                       : fmt::format("the target refuses user '{}' or its CHAP secret; check both",
                                     login.user);
        case 0x0202:
            return fmt::format("the target does not admit the initiator '{}'; add it there",
                               login.initiator);
        case 0x0203:
        case 0x0204:
            return fmt::format("this portal has no target '{}'; check the name", login.target);
        case 0x0301:
        case 0x0302:
            return "the target has no resources now; " + text;
        default:
            break;
    }
    const bool about_the_target = text.find("CHAP_R") != std::string::npos ||
                                  text.find("CHAP_N") != std::string::npos ||
                                  text.find("CHAP target") != std::string::npos;
    if (about_the_target)
        return "the target did not prove itself (mutual CHAP); check target_user and "
               "chap_mutual_secret_file";
    return "the login failed: " + text;
}

}  // namespace braidway::path
