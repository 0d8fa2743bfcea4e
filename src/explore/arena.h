// SPDX-License-Identifier: Apache-2.0
// What World::share() makes: memory that is used again in each execution, at the same addresses.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace braidway::explore {

/// Memory handed out piece by piece and taken back all at once. The same requests get the same
/// addresses after every clear().
///
/// Threads: one.
class Arena {
  public:
    void* take(size_t size_bytes, size_t alignment) {
        for (;; ++chunk_, used_ = 0) {
            if (chunk_ == chunks_.size()) {
                const size_t size = std::max(chunk_size_bytes, size_bytes + alignment);
                chunks_.push_back({std::make_unique<std::byte[]>(size), size});
            }
            const Chunk& chunk = chunks_[chunk_];
            const uintptr_t base = reinterpret_cast<uintptr_t>(chunk.memory.get());
            const uintptr_t begin = (base + used_ + alignment - 1) / alignment * alignment;
            if (begin + size_bytes > base + chunk.size_bytes) continue;
            used_ = begin + size_bytes - base;
            return chunk.memory.get() + (begin - base);
        }
    }

    void clear() { chunk_ = used_ = 0; }

    /// `function(begin, size_bytes)` of all that was handed out.
    template <typename Function>
    void for_each_stretch(Function function) const {
        for (size_t i = 0; i <= chunk_ && i < chunks_.size(); ++i) {
            function(chunks_[i].memory.get(), i < chunk_ ? chunks_[i].size_bytes : used_);
        }
    }

  private:
    static constexpr size_t chunk_size_bytes = size_t{64} << 10;

    struct Chunk {
        std::unique_ptr<std::byte[]> memory;
        size_t size_bytes;
    };

    std::vector<Chunk> chunks_;
    size_t chunk_ = 0;
    size_t used_ = 0;
};

}  // namespace braidway::explore
