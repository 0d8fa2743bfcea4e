// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace braidway::lockcheck {
namespace {

std::unexpected<Error> failed(const std::string& name) {
    const int code = errno;
    return fail(fmt::format("{}: {}", name, errno_text(code)), code);
}

}  // namespace

File::~File() {
    if (descriptor_ >= 0) close(descriptor_);
}

Result<std::string> read_all(int descriptor, const std::string& name, size_t bytes_max) {
    static constexpr size_t step = 64u << 10;
    std::string text;
    for (;;) {
        const size_t before = text.size();
        text.resize(before + step);
        const ssize_t count = read(descriptor, text.data() + before, step);
        text.resize(before + static_cast<size_t>(std::max<ssize_t>(count, 0)));
        if (count == 0) return text;
        if (count < 0 && errno != EINTR) return failed(name);
        if (text.size() > bytes_max)
            return fail(fmt::format("{}: is longer than {} bytes", name, bytes_max));
    }
}

Result<std::string> read_file(const std::string& name, size_t bytes_max) {
    const File file(open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) return failed(name);
    return read_all(file.get(), name, bytes_max);
}

Result<void> write_all(int descriptor, const std::string& name, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = write(descriptor, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed(name);
        text.remove_prefix(static_cast<size_t>(count));
    }
    return {};
}

Result<void> replace_file(const std::string& name, std::string_view text) {
    const std::string temporary = fmt::format("{}.{}", name, getpid());
    {
        const File file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
        if (!file) return failed(name);
        if (auto written = write_all(file.get(), name, text); !written) {
            unlink(temporary.c_str());
            return written;
        }
    }
    if (rename(temporary.c_str(), name.c_str()) == 0) return {};
    auto refused = failed(name);
    unlink(temporary.c_str());
    return refused;
}

}  // namespace braidway::lockcheck
