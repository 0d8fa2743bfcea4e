// SPDX-License-Identifier: Apache-2.0
// A server reads a request out of memory that a client may take away at any time.
#include <braidway/sync/mutex.h>
#include <braidway/sync/shared_memory.h>
#include <braidway/sync/user_access.h>
#include <braidway/sync/with_user_access.h>

#include <cstdint>
#include <cstdio>
#include <expected>

using namespace braidway::sync;

struct Request {
    uint64_t offset_bytes;
    uint32_t length_bytes;
    uint32_t tag;
};

// Per request, with a lock that other threads want, too.
std::expected<Request, UserAccessError> next_request(Mutex& lock, const Request* descriptor) {
    return with_user_access(lock, [&]() -> UserAttempt<Request> {
        const auto copy = try_copy_object(descriptor);
        if (!copy)
            return std::unexpected(MissingMemory{descriptor, sizeof(*descriptor), Access::read});
        return *copy;
    });
}

// Once per client: let its memory in, or say in a line why not.
int serve(int fd, std::size_t size_bytes) {
    const auto memory = admit_shared_memory(fd, size_bytes);
    if (!memory) {
        std::fprintf(stderr, "%s\n", memory.error().message.c_str());
        return 1;
    }
    Mutex lock;
    const auto* descriptor = reinterpret_cast<const Request*>(memory->bytes().data());
    const auto request = next_request(lock, descriptor);
    if (!request) {
        std::fprintf(stderr, "the client took its memory away\n");
        return 1;
    }
    // Checked and used is the copy: what is in the memory may be another request by now.
    std::printf("request %u: %u bytes\n", request->tag, request->length_bytes);
    return 0;
}

int main() {
    // The client's side, here in the same process.
    const auto memory = create_sealed_memory("requests", 4096);
    if (!memory) return 1;
    auto* const request = reinterpret_cast<Request*>(memory->bytes().data());
    if (!try_store(&request->length_bytes, 512) || !try_store(&request->tag, 7)) return 1;
    return serve(memory->fd(), memory->bytes().size());
}
