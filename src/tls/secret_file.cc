// SPDX-License-Identifier: Apache-2.0
#include "tls/secret_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/limits.h"

namespace braidway::tls {
namespace {

Result<SecretText> read_open_file(int fd, const std::string& name, FileSecrecy secrecy) {
    struct stat there{};
    if (::fstat(fd, &there) != 0)
        return fail(fmt::format("cannot read {}: {}", name, errno_text(errno)), errno);
    if (!S_ISREG(there.st_mode)) return fail(fmt::format("{} is no file", name), EINVAL);
    const unsigned mode = there.st_mode & 07777u;
    if (secrecy == FileSecrecy::secret && (mode & 0007u) != 0)
        return fail(fmt::format("{} holds a key and is open to every user (mode {:04o}); run: "
                                "chmod o= {}",
                                name, mode, name),
                    EACCES);
    if (there.st_size > static_cast<off_t>(limits::tls_file_bytes_max))
        return fail(fmt::format("{} is too large for a file of keys or certificates", name), EFBIG);
    std::string text(static_cast<size_t>(there.st_size), '\0');
    size_t filled = 0;
    while (filled < text.size()) {
        const ssize_t count = ::read(fd, text.data() + filled, text.size() - filled);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0)
            return fail(fmt::format("cannot read {}: {}", name, errno_text(errno)), errno);
        if (count == 0) break;
        filled += static_cast<size_t>(count);
    }
    text.resize(filled);
    return SecretText(std::move(text));
}

}  // namespace

SecretText::SecretText(SecretText&& other) noexcept : text_(std::move(other.text_)) {
    other.wipe();  // A short text was copied, not moved.
}

SecretText& SecretText::operator=(SecretText&& other) noexcept {
    if (this == &other) return *this;
    wipe();
    text_ = std::move(other.text_);
    other.wipe();
    return *this;
}

SecretText::~SecretText() {
    wipe();
}

void SecretText::wipe() {
    text_.resize(text_.capacity());
    ::OPENSSL_cleanse(text_.data(), text_.size());
    text_.clear();
}

Result<SecretText> read_secret_file(const std::string& name, FileSecrecy secrecy) {
    const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return fail(fmt::format("cannot read {}: {}", name, errno_text(errno)), errno);
    Result<SecretText> text = read_open_file(fd, name, secrecy);
    ::close(fd);
    return text;
}

}  // namespace braidway::tls
