// SPDX-License-Identifier: Apache-2.0
// An inbox that many threads fill and one empties, without locks and without allocation.
#pragma once

#include <atomic>

#include "base/intrusive_list.h"

namespace braidway::sync {

/// A mailbox of T, which derives from ListNode<> and is in no list while it is here. Owns nothing.
///
/// Senders push onto a stack with one compare-and-swap; the receiver takes the whole stack with one
/// exchange and turns it round, so that each sender's elements come out in the order they were
/// sent. Taking everything at once is what makes the stack safe without hazard pointers or
/// generations: nobody ever follows the link of an element that another thread may have taken.
///
/// All operations are sequentially consistent, so that a receiver may say "I sleep" in a variable
/// of its own, look at empty() once more, and rely on a sender that pushes and then looks at that
/// variable.
///
/// Threads: push() and empty() any, take_all() one.
template <typename T>
class Mailbox {
  public:
    Mailbox() = default;
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    /// Leaves `element` here; it belongs to the receiver from now on.
    void push(T& element) {
        ListNode<>& node = element;
        ListNode<>* head = newest_.load(std::memory_order_relaxed);
        do {
            node.next = head;
        } while (!newest_.compare_exchange_weak(head, &node, std::memory_order_seq_cst,
                                                std::memory_order_relaxed));
    }

    bool empty() const { return newest_.load(std::memory_order_seq_cst) == nullptr; }

    /// Takes everything out, oldest first, and calls `receive(T&)` with each element, which is in
    /// no list then and may be deleted or pushed again. Returns how many there were.
    template <typename Receive>
    unsigned take_all(Receive&& receive) {
        if (newest_.load(std::memory_order_relaxed) == nullptr) return 0;
        ListNode<>* node = newest_.exchange(nullptr, std::memory_order_seq_cst);
        ListNode<>* oldest = nullptr;
        while (node != nullptr) {
            ListNode<>* const older = node->next;
            node->next = oldest;
            oldest = node;
            node = older;
        }
        unsigned count = 0;
        while (oldest != nullptr) {
            ListNode<>* const newer = oldest->next;
            oldest->next = nullptr;
            receive(static_cast<T&>(*oldest));
            oldest = newer;
            ++count;
        }
        return count;
    }

  private:
    std::atomic<ListNode<>*> newest_ = nullptr;
};

}  // namespace braidway::sync
