// SPDX-License-Identifier: Apache-2.0
// An array that grows without moving and without leaving memory behind.
#pragma once

#include <cstdint>

#include "lockdep/arena.h"

namespace braidway::lockdep {

/// An array in pages of `per_page` elements, made when they are first reached. What grows by
/// doubling leaves as much behind in an arena as it uses; this leaves nothing.
///
/// Shapes:  at most `size_max` elements, zeroed at first; per_page should be a power of two.
/// Errors:  reach() is false when there is no memory, or beyond size_max.
/// Threads: one at a time.
template <typename T, uint32_t per_page, uint32_t size_max>
class PagedArray {
  public:
    explicit PagedArray(Arena& arena) : arena_(arena) {}

    /// Makes sure that element `index` is there.
    bool reach(uint32_t index) {
        if (index >= size_max) return false;
        if (pages_ == nullptr) {
            pages_ = arena_.allocate_array<T*>(size_max / per_page + 1);
            if (pages_ == nullptr) return false;
        }
        T*& page = pages_[index / per_page];
        if (page == nullptr) page = arena_.allocate_array<T>(per_page);
        return page != nullptr;
    }

    /// Only what was reached.
    T& operator[](uint32_t index) { return pages_[index / per_page][index % per_page]; }
    const T& operator[](uint32_t index) const { return pages_[index / per_page][index % per_page]; }

  private:
    Arena& arena_;
    T** pages_ = nullptr;
};

}  // namespace braidway::lockdep
