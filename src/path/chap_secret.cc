// SPDX-License-Identifier: Apache-2.0
#include "path/chap_secret.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/limits.h"

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
    const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail(fmt::format("{}: cannot be read: {}; it must hold the CHAP secret", file,
                                errno_text(errno)),
                    errno);
    struct stat status{};
    std::array<char, secret_bytes_max + 16> text;
    const bool known = fstat(fd, &status) == 0;
    const ssize_t bytes = known ? read(fd, text.data(), text.size()) : -1;
    const int code = errno;
    close(fd);
    if (!known || bytes < 0)
        return fail(fmt::format("{}: cannot be read: {}", file, errno_text(code)), code);
    if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0)
        return fail(
            fmt::format("{}: other users may read or write this secret; chmod 600 it", file),
            EACCES);
    return secret_of({text.data(), static_cast<size_t>(bytes)}, file);
}

}  // namespace braidway::path
