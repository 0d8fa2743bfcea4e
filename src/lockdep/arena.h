// SPDX-License-Identifier: Apache-2.0
// Memory of the validator: taken from the world in large pieces, never given back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/surroundings.h"

namespace braidway::lockdep {

/// Cuts zeroed memory off pages that Surroundings gives.
///
/// Shapes:  at most bytes_max in all; pieces are aligned to 16 bytes.
/// Errors:  allocate() returns nullptr when the limit is reached or the world has no more.
/// Threads: one at a time.
class Arena {
  public:
    static constexpr size_t bytes_max = limits::lockdep_bytes_max;
    static constexpr size_t chunk_bytes = size_t{256} << 10;

    explicit Arena(Surroundings& surroundings) : surroundings_(surroundings) {}
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    /// Zeroed; 16-aligned. Large pieces (from half a chunk) get pages of their own.
    void* allocate(size_t bytes);

    template <typename T>
    T* allocate_array(size_t count) {
        return static_cast<T*>(allocate(count * sizeof(T)));
    }

    size_t used_bytes() const { return used_bytes_; }

  private:
    Surroundings& surroundings_;
    std::byte* next_ = nullptr;
    std::byte* end_ = nullptr;
    size_t used_bytes_ = 0;
};

}  // namespace braidway::lockdep
