// SPDX-License-Identifier: Apache-2.0
// A doubly linked list whose links live in its elements: no allocation, O(1) removal.
#pragma once

#include <cstddef>

#include "base/check.h"

namespace braidway {

/// The links of one element. An element that is in several lists at once derives from several
/// ListNodes with different tags.
template <typename Tag = void>
struct ListNode {
    ListNode* previous = nullptr;
    ListNode* next = nullptr;

    ListNode() = default;
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;

    bool linked() const { return next != nullptr; }
};

/// A list of T, which derives from ListNode<Tag>. Owns nothing.
///
/// Threads: one.
template <typename T, typename Tag = void>
class IntrusiveList {
  public:
    using Node = ListNode<Tag>;

    IntrusiveList() { head_.previous = head_.next = &head_; }
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;

    bool empty() const { return head_.next == &head_; }
    size_t size() const { return size_; }

    T* front() { return owner(head_.next); }
    T* back() { return owner(head_.previous); }
    /// The element after `element`, or nullptr at the end.
    T* after(T& element) { return owner(static_cast<Node&>(element).next); }
    /// The element before `element`, or nullptr at the front.
    T* before(T& element) { return owner(static_cast<Node&>(element).previous); }

    void push_back(T& element) { link(element, *head_.previous, head_); }
    void push_front(T& element) { link(element, head_, *head_.next); }
    /// Puts `element` right after `position`, which is in this list.
    void insert_after(T& position, T& element) {
        Node& before = position;
        link(element, before, *before.next);
    }

    /// Takes out and returns the first element, or nullptr when there is none.
    T* pop_front() {
        T* element = front();
        if (element != nullptr) remove(*element);
        return element;
    }

    /// Takes out `element`, which must be in this list.
    void remove(T& element) {
        Node& links = element;
        CHECK(links.linked(), "an element that is in no list cannot be removed");
        links.previous->next = links.next;
        links.next->previous = links.previous;
        links.previous = links.next = nullptr;
        --size_;
    }

  private:
    T* owner(Node* links) { return links == &head_ ? nullptr : static_cast<T*>(links); }

    void link(Node& links, Node& before, Node& behind) {
        CHECK(!links.linked(), "an element is in one list of a kind at a time");
        links.previous = &before;
        links.next = &behind;
        before.next = &links;
        behind.previous = &links;
        ++size_;
    }

    Node head_;
    size_t size_ = 0;
};

}  // namespace braidway
