// SPDX-License-Identifier: Apache-2.0
#include "lockdep/arena.h"

namespace braidway::lockdep {

void* Arena::allocate(size_t bytes) {
    const size_t rounded = (bytes + 15) & ~size_t{15};
    if (rounded < bytes) return nullptr;
    if (rounded <= static_cast<size_t>(end_ - next_)) {
        void* const piece = next_;
        next_ += rounded;
        return piece;
    }
    const bool own_pages = rounded >= chunk_bytes / 2;
    const size_t page_bytes = own_pages ? (rounded + 4095) & ~size_t{4095} : chunk_bytes;
    if (page_bytes < rounded || used_bytes_ + page_bytes > bytes_max) return nullptr;
    void* const pages = surroundings_.pages(page_bytes);
    if (pages == nullptr) return nullptr;
    used_bytes_ += page_bytes;
    if (own_pages) return pages;
    next_ = static_cast<std::byte*>(pages) + rounded;
    end_ = static_cast<std::byte*>(pages) + chunk_bytes;
    return pages;
}

}  // namespace braidway::lockdep
