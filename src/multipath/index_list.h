// SPDX-License-Identifier: Apache-2.0
// An ordered list of small numbers, linked inside one array: how selectors keep the paths that
// work.
#pragma once

#include <cstdint>
#include <vector>

#include "base/check.h"

namespace braidway::multipath {

/// A doubly linked list of some of the numbers 0..capacity-1, each at most once.
///
/// Shapes:  every operation takes constant time.
/// Threads: one lane. No allocation after construction.
class IndexList {
  public:
    using Index = uint32_t;

    /// An empty list; numbers below `capacity` may be in it.
    explicit IndexList(Index capacity) : links_(size_t{capacity} + 1) {
        for (Index at = 0; at <= capacity; ++at) links_[at] = {at, at};
    }

    /// What front() and after() return where the list ends.
    Index end() const { return static_cast<Index>(links_.size() - 1); }
    Index front() const { return links_.back().next; }
    Index after(Index index) const { return links_[index].next; }
    bool empty() const { return front() == end(); }
    bool contains(Index index) const { return links_[index].next != index; }

    void push_front(Index index) { link(index, front()); }
    void push_back(Index index) { link(index, end()); }

    /// Takes out `index`, which is in the list.
    void remove(Index index) {
        DEBUG_CHECK(index < end() && contains(index), "only what is in the list can be removed");
        Link& gone = links_[index];
        links_[gone.previous].next = gone.next;
        links_[gone.next].previous = gone.previous;
        gone = {index, index};
    }

    void move_to_back(Index index) {
        if (links_[index].next == end()) return;
        remove(index);
        push_back(index);
    }

    /// Appends the numbers in the list, in order, and its end.
    void append_to(std::vector<uint64_t>& numbers) const {
        for (Index at = front(); at != end(); at = after(at)) numbers.push_back(at);
        numbers.push_back(end());
    }

  private:
    /// The last link is the list's head; a number that is not in the list is linked to itself.
    struct Link {
        Index previous;
        Index next;
    };
    std::vector<Link> links_;

    void link(Index index, Index behind) {
        DEBUG_CHECK(index < end() && !contains(index), "a number is in the list at most once");
        const Index before = links_[behind].previous;
        links_[index] = {before, behind};
        links_[before].next = index;
        links_[behind].previous = index;
    }
};

}  // namespace braidway::multipath
