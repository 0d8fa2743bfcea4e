// SPDX-License-Identifier: Apache-2.0
#include "path/chap_secret.h"

#include <fmt/format.h>

#include <cerrno>
#include <string_view>

#include "base/limits.h"
#include "tls/secret_file.h"

namespace braidway::path {
namespace {

constexpr size_t secret_bytes_max = limits::chap_bytes_max;

Result<std::string> secret_of(std::string_view text, const std::string& file) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool alone = end == std::string_view::npos ||
                       text.substr(end).find_first_not_of("\r\n") == std::string_view::npos;
    if (!alone) return fail(fmt::format("{}: expected one line, the CHAP secret", file), EINVAL);
    if (line.empty())
        return fail(fmt::format("{}: is empty; write the CHAP secret into it", file), EINVAL);
    if (line.size() > secret_bytes_max || line.find('\0') != std::string_view::npos)
        return fail(fmt::format("{}: a CHAP secret has at most {} bytes and no NUL", file,
                                secret_bytes_max),
                    EINVAL);
    return std::string(line);
}

}  // namespace

Result<std::string> read_chap_secret(const std::string& file) {
    const auto text = tls::read_secret_file(file, tls::FileSecrecy::secret);
    if (!text)
        return fail(fmt::format("the CHAP secret: {}", text.error().message), text.error().code);
    return secret_of(text->text(), file);
}

}  // namespace braidway::path
