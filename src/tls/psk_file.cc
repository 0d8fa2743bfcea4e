// SPDX-License-Identifier: Apache-2.0
#include "tls/psk_file.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <cerrno>

#include "base/limits.h"
#include "tls/secret_file.h"

namespace braidway::tls {
namespace {

constexpr std::string_view expected = "expected 'user:key', the key in hexadecimal (psktool)";
constexpr size_t key_bytes_min = 16;
constexpr size_t key_bytes_max = 64;
constexpr size_t name_bytes_max = 128;  ///< OpenSSL's own limit for TLS 1.2 (PSK_MAX_IDENTITY_LEN).

int digit_of(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
    return -1;
}

/// What is wrong with a line, or nothing. Keys are never quoted.
std::string_view read_line(std::string_view line, PskFile::User& user) {
    const size_t colon = line.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return expected;
    if (colon > name_bytes_max) return "the user's name is longer than 128 bytes";
    const std::string_view digits = line.substr(colon + 1);
    if (digits.size() % 2 != 0) return expected;
    for (size_t at = 0; at < digits.size(); at += 2) {
        const int high = digit_of(digits[at]);
        const int low = digit_of(digits[at + 1]);
        if (high < 0 || low < 0) return expected;
        user.key.push_back(static_cast<unsigned char>(high * 16 + low));
    }
    if (user.key.size() < key_bytes_min || user.key.size() > key_bytes_max)
        return "the key is not 16 to 64 bytes long; make one with psktool";
    user.name = line.substr(0, colon);
    return {};
}

}  // namespace

PskFile::~PskFile() {
    for (User& user : users_) ::OPENSSL_cleanse(user.key.data(), user.key.size());
}

Result<PskFile> PskFile::read(const std::string& file) {
    const Result<SecretText> text = read_secret_file(file, FileSecrecy::secret);
    if (!text) return std::unexpected(text.error());
    return parse(text->text(), file);
}

Result<PskFile> PskFile::parse(std::string_view text, const std::string& file) {
    PskFile made(file);
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        User& user = made.users_.emplace_back();
        user.key.reserve(key_bytes_max + line.size());  // No copy is left behind.
        std::string_view problem = read_line(line, user);
        if (problem.empty() && made.find(user.name).data() != user.key.data())
            problem = "this user is listed twice";
        if (made.users_.size() > limits::tls_psk_users_max) problem = "too many users";
        if (!problem.empty()) return fail(fmt::format("{}:{}: {}", file, number, problem), EINVAL);
    }
    if (made.users_.empty())
        return fail(fmt::format("{} has no key in it; run: psktool -u NAME -p {}", file, file),
                    EINVAL);
    return made;
}

std::span<const unsigned char> PskFile::find(std::string_view user) const {
    for (const User& each : users_)
        if (each.name == user) return each.key;
    return {};
}

}  // namespace braidway::tls
