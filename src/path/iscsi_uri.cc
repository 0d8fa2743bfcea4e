// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/limits.h"
#include "wire/uri.h"

namespace braidway::path {
namespace {

using wire::is_letter_or_digit;
using wire::is_one_of;
using wire::printable_uri;
using wire::uri_decoded;
using wire::uri_encoded;

constexpr std::string_view scheme = "iscsi://";
constexpr std::string_view form = "expected iscsi://[USER@]HOST[:PORT]/TARGET/LUN";

bool is_name_letter(char letter) {
    // Letters beyond ASCII stand in target names as UTF-8.
    return is_letter_or_digit(letter) || is_one_of(letter, "-._:") ||
           static_cast<unsigned char>(letter) >= 0x80;
}

/// `uri` for a message: what may be a secret is not shown, in whatever form it was meant.
std::string without_secret(std::string_view uri) {
    const size_t begin = uri.starts_with(scheme) ? scheme.size() : 0;
    const size_t at = uri.rfind('@');
    if (at == std::string_view::npos || at < begin) return printable_uri(uri);
    const size_t secret = uri.find_first_of("%:", begin);
    if (secret == std::string_view::npos || secret > at) return printable_uri(uri);
    return printable_uri(std::string(uri.substr(0, secret)) + "%..." + std::string(uri.substr(at)));
}

/// Reads one URI; after the first problem `problem` says what it is and nothing else counts.
class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Result<IscsiUri> parse() {
        read();
        if (problem_.empty()) return std::move(uri_);
        return fail(fmt::format("'{}': {}", without_secret(text_), problem_), EINVAL);
    }

  private:
    void problem(std::string text) {
        if (problem_.empty()) problem_ = std::move(text);
    }

    void read() {
        if (text_.size() > limits::iscsi_uri_bytes_max) return problem("the URI is too long");
        if (!text_.starts_with(scheme)) return problem(std::string(form));
        const auto is_control = [](char letter) { return letter >= 0 && letter <= ' '; };
        if (std::ranges::any_of(text_, is_control))
            return problem("blanks and control characters cannot stand in a URI");
        std::string_view rest = text_.substr(scheme.size());
        // A secret may hold every letter but '@', so that is looked for first.
        if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
            read_user(rest.substr(0, at));
            rest.remove_prefix(at + 1);
        }
        const size_t query = rest.find('?');
        if (query != std::string_view::npos) read_query(rest.substr(query + 1));
        rest = rest.substr(0, query);
        const size_t slash = rest.find('/');
        read_portal(rest.substr(0, slash));
        if (slash == std::string_view::npos) return problem("no target is named; " + names());
        rest.remove_prefix(slash + 1);
        const size_t last = rest.rfind('/');
        if (last == std::string_view::npos) return problem("no LUN is named; " + names());
        read_target(rest.substr(0, last));
        read_lun(rest.substr(last + 1));
        if (!uri_.target_user.empty() && uri_.user.empty())
            problem("target_user= needs a user of ours in front of the host, too");
    }

    static std::string names() { return std::string(form); }

    void read_user(std::string_view written) {
        const size_t percent = written.find('%');
        uri_.user = written.substr(0, percent);
        if (uri_.user.empty()) return problem("the user in front of '@' is empty");
        if (uri_.user.find_first_of(":/?") != std::string::npos) {
            uri_.user.clear();
            return problem(
                "a user has no ':', '/' or '?'; keep the secret in a file (chap_secret_file)");
        }
        if (uri_.user.size() > limits::chap_bytes_max)
            return problem("the user is longer than 255 bytes");
        if (percent == std::string_view::npos) return;
        uri_.secret = written.substr(percent + 1);
        if (uri_.secret.empty() || uri_.secret.size() > limits::chap_bytes_max)
            problem("the secret behind '%' is empty or too long");
    }

    void read_portal(std::string_view written) {
        std::string_view port;
        if (written.starts_with('[')) {
            const size_t close = written.find(']');
            if (close == std::string_view::npos) return problem("']' is missing behind the host");
            uri_.host = decoded(written.substr(1, close - 1), "the host");
            const bool six = uri_.host.find(':') != std::string::npos &&
                             std::ranges::all_of(uri_.host, [](char letter) {
                                 return is_letter_or_digit(letter) || is_one_of(letter, ":.%-_");
                             });
            if (!six) return problem("what is in brackets is no IPv6 address");
            port = written.substr(close + 1);
            if (!port.empty() && port.front() != ':')
                return problem("expected ':PORT' or '/' behind ']'");
        } else {
            const size_t colon = written.find(':');
            if (colon != written.rfind(':'))
                return problem("write an IPv6 address in brackets, as in iscsi://[::1]/TARGET/LUN");
            uri_.host = written.substr(0, colon);
            const bool named = std::ranges::all_of(uri_.host, [](char letter) {
                return is_letter_or_digit(letter) || is_one_of(letter, "-._");
            });
            if (uri_.host.empty()) return problem("no host is named; " + names());
            if (!named)
                return problem(fmt::format("'{}' is no host name", printable_uri(uri_.host)));
            if (colon != std::string_view::npos) port = written.substr(colon);
        }
        if (uri_.host.size() > 200) problem("the host name is too long");
        if (!port.empty()) uri_.port = number(port.substr(1), 1, 65535, "a port");
    }

    void read_target(std::string_view written) {
        uri_.target = decoded(written, "the target");
        const auto is_kind = [this](std::string_view kind) {
            return uri_.target.starts_with(kind);
        };
        if (!is_kind("iqn.") && !is_kind("eui.") && !is_kind("naa."))
            return problem(fmt::format("the target '{}' does not begin with iqn., eui. or naa.",
                                       printable_uri(uri_.target)));
        if (uri_.target.size() > limits::iscsi_name_bytes_max)
            return problem(fmt::format("the target's name has {} bytes, at most {} are allowed",
                                       uri_.target.size(), limits::iscsi_name_bytes_max));
        if (!std::ranges::all_of(uri_.target, is_name_letter))
            problem("a target's name consists of letters, digits, '-', '.' and ':'");
    }

    void read_lun(std::string_view digits) {
        uri_.lun = number(digits, 0, IscsiUri::lun_max, "a LUN");
    }

    uint16_t number(std::string_view digits, uint16_t least, uint16_t most, std::string_view what) {
        uint16_t value = 0;
        const char* end = digits.data() + digits.size();
        const auto read = std::from_chars(digits.data(), end, value);
        if (read.ec != std::errc{} || read.ptr != end || value < least || value > most)
            problem(fmt::format("'{}' is not {}; expected {} to {}", printable_uri(digits), what,
                                least, most));
        return value;
    }

    void read_query(std::string_view query) {
        while (!query.empty() && problem_.empty()) {
            const size_t end = query.find('&');
            const std::string_view parameter = query.substr(0, end);
            query = end == std::string_view::npos ? "" : query.substr(end + 1);
            const size_t equals = std::min(parameter.find('='), parameter.size());
            const std::string_view key = parameter.substr(0, equals);
            const std::string value =
                decoded(parameter.substr(std::min(equals + 1, parameter.size())), "a parameter");
            if (key == "header_digest") {
                if (value != "crc32c" && value != "none")
                    return problem("header_digest is crc32c or none");
                uri_.header_digest = value == "crc32c";
            } else if (key == "target_user") {
                uri_.target_user = value;
                if (value.empty() || value.size() > limits::chap_bytes_max)
                    problem("target_user is empty or too long");
            } else if (key == "target_password") {
                problem(
                    "the target's secret does not belong into a URI: use chap_mutual_secret_file");
            } else if (!parameter.empty()) {
                problem(fmt::format(
                    "the parameter '{}' is unknown; known are header_digest, target_user",
                    printable_uri(key)));
            }
        }
    }

    std::string decoded(std::string_view written, std::string_view what) {
        auto text = uri_decoded(written);
        if (text) return std::move(*text);
        problem(fmt::format("{} {}", what, text.error().message));
        return {};
    }

    std::string_view text_;
    IscsiUri uri_;
    std::string problem_;
};

}  // namespace

Result<IscsiUri> IscsiUri::parse(std::string_view text) {
    return Parser(text).parse();
}

std::string IscsiUri::text() const {
    std::string to(scheme);
    if (!user.empty()) to += user + "@";
    const bool numeric = host.find(':') != std::string::npos;
    to += numeric ? "[" + uri_encoded(host, ":") + "]" : host;
    if (port != port_default) to += fmt::format(":{}", port);
    to += fmt::format("/{}/{}", uri_encoded(target, ":"), lun);
    char next = '?';
    const auto add = [&](std::string_view key, std::string_view value) {
        to += fmt::format("{}{}={}", next, key, value);
        next = '&';
    };
    if (header_digest) add("header_digest", *header_digest ? "crc32c" : "none");
    if (!target_user.empty()) add("target_user", uri_encoded(target_user, ":"));
    return to;
}

std::string IscsiUri::portal() const {
    if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
    return fmt::format("{}:{}", host, port);
}

bool looks_like_iscsi_uri(std::string_view text) {
    return text.starts_with("iscsi:");
}

}  // namespace braidway::path
